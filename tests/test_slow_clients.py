"""Slow clients against the real server: the others are answered, and the slow ones are closed in the stated time."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from house_process import serving
from slow_clients import Slow, slowest_answer, sockets, until_closed
from test_dockerfile import self_signed

from server.errors import Busy
from server.web.patience import LAG_SECONDS, Patient
from server.web.worker import LONGEST_HEAD

HEAD, STALL, RATE = 1.0, 1.5, 4096
# How much later than stated is still in time, on a machine that does other things.
LATE = 3.0
OTHERS = 2.0
MANY = 120


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, int, str]]:
    """A house with one film of 12 MB, served by one worker of two threads; the port and the film's path."""
    house = House(tmp_path_factory.mktemp("slow"))
    assert house.store(part10_bytes(chest_film(PixelFormat(rows=2500, columns=2500)))).status_code == 200
    (path,) = house.instances("clinician")
    house.close()
    directory = tmp_path_factory.mktemp("process")
    settings = {"head_seconds": HEAD, "stall_seconds": STALL, "slowest_bytes_per_second": RATE}
    with serving(house, directory, workers=1, threads=2, **settings) as (port, _):
        yield house, port, path


def others(served: tuple[House, int, str], slows: list[Slow], word: bytes) -> float:
    """How long somebody else waits for a search while each slow one says one more word."""
    house, port, _ = served

    def between() -> None:
        for one in slows:
            one.say(word)

    headers = {"Authorization": f"Bearer {house.token('clinician')}", "Accept": "*/*"}
    return slowest_answer(port, "/dicomweb/studies", headers, times=5, between=between)


class Pretended:
    """A socket and a clock: each call takes so long, and moves so many bytes (None: longer than it is waited for)."""

    def __init__(self, *steps: tuple[float, int | None]) -> None:
        self.steps = list(steps)
        self.now = 0.0
        self.waits = 0.0

    def recv(self, _: int) -> bytes:
        seconds, size = self.steps.pop(0)
        if size is None or seconds > self.waits:
            self.now += self.waits
            self.steps.insert(0, (seconds - self.waits, size))
            raise TimeoutError
        self.now += seconds
        return b"x" * size

    def send(self, data: memoryview | bytes) -> int:
        return len(self.recv(len(data)))

    def settimeout(self, seconds: float | None) -> None:
        assert seconds is not None
        self.waits = seconds


def patient(raw: Pretended, turns: int = 1) -> Patient:
    return Patient(raw, seconds=10, rate=100, turns=Semaphore(turns), clock=lambda: raw.now)


def test_waiting_costs_credit_and_bytes_earn_it_back() -> None:
    raw = Pretended((9, 800), (8, 100), (1.5, 1), (1, None))
    slow = patient(raw)
    assert len(slow.recv(1000)) == 800
    assert len(slow.recv(1000)) == 100  # 10 - 9 + 8 - 8 + 1 are left
    assert slow.recv(1000) == b"x"
    with pytest.raises(ConnectionResetError):
        slow.recv(1000)
    assert raw.now == pytest.approx(9 + 8 + 1.5 + 0.51)
    with pytest.raises(ConnectionResetError):
        slow.recv(1000)


def test_much_at_once_earns_no_more_than_the_whole_credit() -> None:
    raw = Pretended((1, 10**9), (1, None))
    slow = patient(raw)
    slow.recv(10**9)
    with pytest.raises(ConnectionResetError):
        slow.send(b"x" * 10)
    assert raw.now == pytest.approx(11)


def test_a_new_request_has_the_whole_credit_and_a_shorter_bound_is_kept() -> None:
    raw = Pretended((9, 0), (9, 0), (5, None))
    slow = patient(raw)
    slow.recv(1)
    slow.begin()
    slow.recv(1)
    slow.begin()
    slow.settimeout(0.5)
    with pytest.raises(TimeoutError):
        slow.recv(1)
    assert raw.now == pytest.approx(18.5)


def test_a_body_that_comes_slowly_needs_a_turn() -> None:
    """A little more than a second behind what 128 times the slowest rate would have brought."""
    steady = patient(Pretended(*[(0.9, 12_800)] * 20, (0.5, 0)), turns=0)
    for _ in range(20):
        assert len(steady.recv(12_800)) == 12_800
    steady.recv(1)
    slow = patient(Pretended(*[(0.75, 6_400)] * 4), turns=0)
    for _ in range(2):
        slow.recv(6_400)
    with pytest.raises(Busy):
        slow.recv(6_400)
    assert slow.turned_away
    silent = patient(Pretended((5, None)), turns=0)
    for _ in range(2):
        with pytest.raises(Busy):
            silent.recv(1)


def test_a_turn_is_taken_once_and_given_back_at_the_end() -> None:
    turns, raw = Semaphore(1), Pretended((1.5, 5), (1.5, 5))
    slow = Patient(raw, seconds=10, rate=100, turns=turns, clock=lambda: raw.now)
    assert len(slow.recv(5)) == 5
    assert len(slow.recv(5)) == 5
    assert not turns.acquire(blocking=False)
    for _ in range(2):
        slow.end()
    assert turns.acquire(blocking=False)
    assert not turns.acquire(blocking=False)


@pytest.mark.parametrize(
    ("first", "word"),
    [(b"", b""), (b"GET /healthz HTTP/1.1\r\n", b""), (b"GET /dicomweb/studies HTTP/1.1\r\nHost: x\r\nA: ", b"a")],
    ids=["silent", "half a head", "a letter at a time"],
)
def test_a_head_that_does_not_come_holds_nobody_up(served: tuple[House, int, str], first: bytes, word: bytes) -> None:
    with sockets(served[1], MANY, first) as slows:
        assert others(served, slows, word) < OTHERS
        open_for = until_closed(slows, within=HEAD + LATE, meanwhile=lambda one: one.say(word))
    assert max(open_for) < HEAD + LATE
    assert min(open_for) > HEAD * 0.8


def test_a_kept_connection_is_no_way_round(served: tuple[House, int, str]) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    # The second request is begun in the same breath, so that it lies in the parser's own buffer.
    with sockets(served[1], MANY, whole + b"GET /healthz HTTP/1.1\r\nHost") as slows:
        assert others(served, slows, b"a") < OTHERS
        open_for = until_closed(slows, within=HEAD + LATE, meanwhile=lambda one: one.say(b"a"))
        assert all(one.received.startswith(b"HTTP/1.1 200") and b"ok\n" in one.received for one in slows)
    assert max(open_for) < HEAD + LATE


def test_a_body_that_nobody_wants_is_not_waited_for(served: tuple[House, int, str]) -> None:
    head = b"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx"
    with sockets(served[1], 20, head) as slows:
        assert others(served, slows, b"x") < OTHERS + 20 * 0.25
        until_closed(slows, within=10, meanwhile=lambda one: one.say(b"x"))
        assert all(one.received.startswith(b"HTTP/1.1 401") for one in slows)
        assert all(one.closed for one in slows)


@pytest.mark.parametrize("expects", ["", "Expect: 100-continue\r\n"], ids=["at once", "when told"])
def test_a_small_body_holds_no_thread_until_it_is_here(served: tuple[House, int, str], expects: str) -> None:
    """Where nobody has to say who they are, and the body would be read."""
    form = "application/x-www-form-urlencoded"
    head = f"POST /backchannel-logout HTTP/1.1\r\nHost: x\r\nContent-Type: {form}\r\n{expects}"
    with sockets(served[1], MANY, f"{head}Content-Length: 60000\r\n\r\n".encode()) as slows:
        assert others(served, slows, b"x") < OTHERS
        open_for = until_closed(slows, within=HEAD + LATE, meanwhile=lambda one: one.say(b"x"))
        assert all(one.received == (b"HTTP/1.1 100 Continue\r\n\r\n" if expects else b"") for one in slows)
    assert max(open_for) < HEAD + LATE
    with sockets(served[1], 20, f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nx".encode()) as slows:
        assert others(served, slows, b"") < OTHERS + 20 * 0.25
        until_closed(slows, within=10, meanwhile=lambda one: None)
        assert all(b"HTTP/1.1 400" in one.received for one in slows)


def test_a_small_body_in_pieces_is_a_body(served: tuple[House, int, str]) -> None:
    with sockets(served[1], 1, b"POST /role HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7") as slows:
        for piece in (b"\r\n\r\n", b"rol", b"e=a", b"b"):
            slows[0].look()
            assert b"HTTP/1.1 401" not in slows[0].received
            slows[0].say(piece)
            time.sleep(0.1)
        until_closed(slows, within=0.5, meanwhile=lambda _: None)
        assert b"HTTP/1.1 401" in slows[0].received


def test_large_answers_to_strangers_wait_without_a_thread(served: tuple[House, int, str]) -> None:
    """What is told to anybody fits into what a connection may leave to the loop."""
    head = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with sockets(served[1], 60, head * 4, receive_buffer=2048) as slows:
        assert others(served, slows, b"") < OTHERS
        time.sleep(STALL + 2)
        until_closed(slows, within=20, meanwhile=lambda _: None)
        assert all(one.closed for one in slows)


def test_a_body_that_hardly_comes_is_given_up(served: tuple[House, int, str]) -> None:
    house, port, _ = served
    head = (
        "POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: 900000\r\n"
        f"Authorization: Bearer {house.token('technologist')}\r\n\r\n"
    )
    # As many as there are threads: half of these go on, for the stated time, and the rest is told to come again.
    with sockets(port, 2, head.encode()) as slows:
        assert others(served, slows, b"x") < LAG_SECONDS + LATE
        open_for = until_closed(slows, within=2 * STALL + LATE, meanwhile=lambda one: one.say(b"xxxxxxxx"))
    assert max(open_for) < 2 * STALL + LATE
    assert [one.received[:12] for one in slows].count(b"HTTP/1.1 503") == 1


def test_who_sends_as_slowly_as_may_be_leaves_half_of_the_threads_to_others(served: tuple[House, int, str]) -> None:
    """At the slowest rate a body may come for ever; nobody else is held up by that."""
    house, port, _ = served
    head = (
        "POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/dicom\r\nContent-Length: 900000\r\n"
        f"Authorization: Bearer {house.token('technologist')}\r\n\r\n"
    )
    stop = Event()

    def dribble() -> None:
        while not stop.wait(0.2):
            for one in slows:
                one.look()
                one.say(b"x" * (RATE // 2))

    with sockets(port, 4, head.encode()) as slows, ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(dribble)
            until, longest = time.monotonic() + 3 * STALL, 0.0
            headers = {"Authorization": f"Bearer {house.token('clinician')}", "Accept": "*/*"}
            while time.monotonic() < until:
                took = slowest_answer(port, "/dicomweb/studies", headers, times=1, between=lambda: time.sleep(0.3))
                longest = max(longest, took)
        finally:
            stop.set()
        told = [one.received for one in slows if one.received]
        assert [one.closed for one in slows].count(0.0) == 1
        assert len(told) == 3
        assert all(one.startswith(b"HTTP/1.1 503 ") for one in told)
        assert all(b"\r\nRetry-After: " in one and b"\r\nConnection: close\r\n" in one for one in told)
    assert longest < 2 * LAG_SECONDS + LATE


def test_no_answer_says_which_program_gives_it(served: tuple[House, int, str]) -> None:
    for word in (b"GET /healthz HTTP/1.1", b"GET /nothing HTTP/1.1", b"GET / HTTP/1.1\r\nA b: c", b"odd"):
        with sockets(served[1], 1, word + b"\r\nHost: x\r\nConnection: close\r\n\r\n") as slows:
            until_closed(slows, within=5, meanwhile=lambda _: None)
        head = slows[0].received.partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 ")
        assert b"server:" not in head
        assert b"gunicorn" not in slows[0].received.lower()


def test_an_answer_that_nobody_reads_is_given_up(served: tuple[House, int, str]) -> None:
    house, port, path = served
    head = (
        f"GET {path}/frames/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.token('clinician')}\r\n"
        'Accept: multipart/related; type="application/octet-stream"\r\n\r\n'
    )
    with sockets(port, 2, head.encode(), receive_buffer=4096) as slows:
        time.sleep(0.5)
        headers = {"Authorization": f"Bearer {house.token('clinician')}", "Accept": "*/*"}
        assert slowest_answer(port, "/dicomweb/studies", headers, times=1, between=lambda: None) < 2 * STALL + LATE
        time.sleep(STALL + 1)
        # What was already on its way is here; the rest never comes.
        until_closed(slows, within=20, meanwhile=lambda _: None)
        assert all(one.closed and 0 < len(one.received) < 12_000_000 for one in slows)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Content-Length: 3\r\nContent-Length: 4",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"Transfer-Encoding: xchunked",
        b"Content-Length: +3", b"Content-Length: 3 4", b"Transfer-Encoding : chunked", b" Content-Length: 3",
        b"Content-Length: 0x3", b"Content-Length: -1", b"A: b\n\nGET / HTTP/1.1",
    ],
)  # fmt: skip
def test_a_message_that_ends_in_two_places_is_refused(served: tuple[House, int, str], fields: bytes) -> None:
    """What two readers would cut in two ways (RFC 9112 section 6.3) is answered once, with 400, and then closed."""
    hidden = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with sockets(served[1], 1, b"POST /role HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + hidden) as slows:
        until_closed(slows, within=10, meanwhile=lambda _: None)
        assert slows[0].received.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
        assert slows[0].received.count(b"HTTP/1.1 ") == 1
        assert slows[0].closed


def test_a_head_without_an_end_is_refused(served: tuple[House, int, str]) -> None:
    with sockets(served[1], 1, b"GET / HTTP/1.1\r\nA: " + b"a" * LONGEST_HEAD) as slows:
        until_closed(slows, within=5, meanwhile=lambda _: None)
        assert slows[0].received.startswith(b"HTTP/1.1 431")


def test_a_slow_but_honest_client_gets_all_of_it(served: tuple[House, int, str]) -> None:
    house, port, path = served
    request = (
        f"GET {path}/frames/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {house.token('clinician')}\r\n"
        'Accept: multipart/related; type="application/octet-stream"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        # The head comes in three pieces, in the time that is stated.
        for piece in (request[:30], request[30:60], request[60:]):
            one.sendall(piece.encode())
            time.sleep(HEAD / 5)
        received, began = 0, time.monotonic()
        while data := one.recv(400_000):
            received += len(data)
            time.sleep(0.1)
    assert received > 12_500_000
    assert time.monotonic() - began > STALL


def test_over_tls_a_handshake_that_does_not_come_holds_nobody_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("tls")
    files = self_signed(directory / "certificate")
    certificate, key = (Path(files[name]) for name in ("SAFELIGHT_CERTIFICATE", "SAFELIGHT_CERTIFICATE_KEY"))
    house = House(tmp_path_factory.mktemp("slow"))
    house.close()
    settings = {"head_seconds": HEAD, "certificate": certificate, "certificate_key": key}
    with serving(house, directory, workers=1, threads=2, **settings) as (port, _):
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False
        # A ClientHello's beginning, and nothing more.
        with sockets(port, MANY, b"\x16\x03\x01\x02\x00\x01\x00") as slows:
            began = time.monotonic()
            for _ in range(3):
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
                    context.wrap_socket(plain, server_hostname="localhost") as one,
                ):
                    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    assert one.recv(12) == b"HTTP/1.1 200"
            assert time.monotonic() - began < 3 * OTHERS
            open_for = until_closed(slows, within=HEAD + LATE, meanwhile=lambda _: None)
        assert max(open_for) < HEAD + LATE
