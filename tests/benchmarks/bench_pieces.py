"""`python tests/benchmarks/bench_pieces.py`: where the time of a short request goes, piece by piece.

One thread in one process, CPU microseconds by the median of rounds. Each piece is called as the request calls it, with
the request's own arguments, so that their sum is about what the whole costs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from bench_requests import JPEG, JSON, SERIES, _first, call, fill  # noqa: E402
from house import House  # noqa: E402

from server import record, signed_out  # noqa: E402
from server.auth.issuers import authentication  # noqa: E402
from server.model import Action, Ask, Representation  # noqa: E402
from server.negotiate import Choice  # noqa: E402
from server.transaction import Transaction  # noqa: E402
from server.web.answer import to_response  # noqa: E402
from server.web.limits import Limits  # noqa: E402

_TIMES, _ROUNDS = 100, 9


def cost(one: Callable[[], object]) -> float:
    """CPU microseconds of one call."""
    found = []
    for number in range(-1, _ROUNDS):
        began = time.process_time()
        for _ in range(_TIMES):
            one()
        if number >= 0:
            found.append((time.process_time() - began) / _TIMES * 1e6)
    return median(found)


def pieces(house: House, user: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each piece of a request for a picture that was kept, by name."""
    services = replace(house.services, policy=house.services.policy.pinned())
    token = house.token(user)
    path = _first(house, user, 1)
    words = path.split("/")
    ids = {"study": words[3], "series": words[5], "instance": words[7]}

    def verified() -> object:
        claims = services.tokens.verify(token, house.now, None)
        authentication(claims, house.now)
        return services.tokens.caller(claims, services.policy.current.roles)

    claims = services.tokens.verify(token, house.now, None)
    caller = services.tokens.caller(claims, services.policy.current.roles)
    ask = Ask(caller=caller, request="0" * 32)
    limits = Limits(failures=30, requests=10**9)
    choice = Choice(media_type=JPEG, multipart=False)

    def begun() -> Transaction:
        return Transaction.begin(services, ask, Action.RETRIEVE_RENDERED, choice, ids)

    transaction = begun()
    body = transaction.kept(lambda: b"j" * 740_000, "bench").body
    answered = Representation(media_type=JPEG, body=body, status=200, etag='"0"', headers={})
    subject = record.Subject(action=Action.RETRIEVE_RENDERED, object=path, permit=transaction.admission.permit)
    event = record.event(ask, subject, "answer", 200, digest="0" * 64)

    def responded() -> None:
        with house.app.test_request_context(path):
            to_response(answered)

    def context() -> None:
        with house.app.test_request_context(path):
            pass

    yield "application, an answer that asks nobody (healthz)", lambda: call(house, "/healthz", token, "*/*")
    yield "token and caller", verified
    yield "limits", lambda: limits.asked(f"{caller.issuer}#{caller.subject}", house.now)
    yield (
        "who has signed out",
        lambda: signed_out.check(services, issuer=caller.issuer, subject=caller.subject, session="s", since=house.now),
    )
    yield "find, decide, study key", begun
    yield "entity tag", lambda: transaction._etag("bench")
    yield "kept answer of 740 KB, opened", lambda: transaction.kept(lambda: b"", "bench")
    yield "entry in the journal", lambda: services.journal.append(event)
    yield "use noted", lambda: services.catalog.note_use(transaction.admission.study.row, house.now)
    yield "(a request context of the tests)", context
    yield "response (with such a context)", responded
    yield "whole: rendered again", lambda: call(house, f"{path}/rendered", token, JPEG)
    long = _first(house, user, SERIES).rpartition("/instances/")[0]
    yield f"whole: metadata of {SERIES} again", lambda: call(house, f"{long}/metadata", token, JSON)


def main() -> None:
    import cv2

    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place, House(Path(place)) as house:
        fill(house)
        print(f"load {os.getloadavg()[0]:.1f}\n| piece | clinician | researcher |\n|---|---:|---:|")
        both = [dict(pieces(house, user)) for user in ("clinician", "researcher")]
        for name in both[0]:
            print(f"| {name} | {' | '.join(f'{cost(one[name]):.0f}' for one in both)} |", flush=True)


if __name__ == "__main__":
    main()
