"""Ask a server for everything that its own OpenAPI description says it has, and believe no answer that is not in it.

The requests are schemathesis': well formed ones and broken ones, for each operation. Some of their names are exchanged
for those of films that are there, as each role knows them; otherwise nothing would ever be answered but 404.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import schemathesis
from builders import PixelFormat, chest_film, made_up_uid, part10_bytes
from house import House
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as known
from signing_in import with_issuer
from states import report

ROLES = (
    *("clinician", "researcher", "front-desk", "technologist", "privacy-reviewer", "patient", "recipient"),
    *("system-administrator", "security-administrator", "security-auditor", ""),
)
"""Who asks; "" is nobody."""

CHECKS = (
    known.status_code_conformance,
    known.content_type_conformance,
    known.response_schema_conformance,
    known.response_headers_conformance,
    known.allow_header_conformance,
    known.unsupported_method,
    known.missing_required_header,
)
Operation = schemathesis.APIOperation[Any, Any, Any, Any]
_TINY = PixelFormat(rows=32, columns=32, frames=2)
_UID = re.compile(r"[0-9][0-9.]+[0-9]")
_OBJECT = part10_bytes(chest_film(_TINY, study=9, patient=9))
_BODIES = st.sampled_from([_OBJECT, _OBJECT[:-100], _OBJECT[:200], b"", b"nothing that anybody sends"])


def _parts(body: bytes, kind: str) -> bytes:
    return b"--safelight\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + body + b"\r\n--safelight--\r\n"


def _teach() -> None:
    """What the bodies of a store are made of, which no schema can say."""
    schemathesis.openapi.media_type("application/dicom", _BODIES)
    for kind in ("application/dicom", "application/dicom+json", "application/dicom+xml"):
        name = f'multipart/related; type="{kind}"'
        schemathesis.openapi.media_type(name, _BODIES.map(partial(_parts, kind=kind)))


_teach()


@dataclass(kw_only=True)
class Found:
    """What exploring found: answers by operation and status, and every complaint in a line, with how often."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    complaints: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def statuses(self) -> dict[int, int]:
        counted = Counter[int]()
        for (_, status), number in self.answers.items():
            counted[status] += number
        return dict(sorted(counted.items()))

    @property
    def operations(self) -> set[str]:
        return {name for name, _ in self.answers}


def fill(house: House) -> None:
    """Films, a report without pictures, one film that waits for a person, and an issuer that answers."""
    with_issuer(house)
    text = report(StudyInstanceUID=made_up_uid("study", 2), SeriesInstanceUID=made_up_uid("series", 2))
    assert house.store(part10_bytes(chest_film(_TINY)), part10_bytes(text)).status_code == 200
    house.screen()
    assert house.store(part10_bytes(chest_film(_TINY, study=3, patient=3))).status_code == 200


def explore(house: House, roles: Sequence[str], *, examples: int, only: str = "") -> Found:
    """So many well formed requests of each operation by each role, and half as many broken ones.

    OPTIONS by nobody alone: who asks is not looked at.
    """
    found = Found()
    schema = schemathesis.openapi.from_wsgi("/openapi.json", house.app)
    names = {role: list(_names(house, role)) for role in {*roles, ""}}
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if only not in operation.label:
            continue
        for role in [""] if operation.method == "options" else roles:
            for mode, count in ((GenerationMode.POSITIVE, examples), (GenerationMode.NEGATIVE, (examples + 1) // 2)):
                _ask(house, found, operation, role, names[role], mode, count)
    return found


def _names(house: House, role: str) -> Iterator[Mapping[str, str]]:
    paths = house.instances(role) if role else []
    for path in paths or house.instances("clinician"):
        study, series, instance = _UID.findall(path)
        here = {"study": study, "series": series, "instance": instance}
        yield here | {"studyUID": study, "seriesUID": series, "objectUID": instance, "frames": "1"}


def _ask(
    house: House, found: Found, operation: Operation, role: str, names: Sequence[Mapping[str, str]],
    mode: GenerationMode, count: int,
) -> None:  # fmt: skip
    headers = {"Accept-Encoding": "identity"}
    if role:
        headers["Authorization"] = f"Bearer {house.token(role)}"

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), name=st.sampled_from([*names, *names, {}]))
    def one(case: Case[Any], name: Mapping[str, str]) -> None:
        for place in (case.path_parameters, case.query):
            for key in set(place or {}) & set(name):
                place[key] = name[key]
        if role and mode is GenerationMode.POSITIVE and "Safelight-Role" in (case.headers or {}):
            case.headers["Safelight-Role"] = role
        response = case.call(headers=headers)
        found.answers[operation.label, response.status_code] += 1
        where = f"{operation.label} as {role or 'nobody'}: {response.status_code}"
        if response.status_code >= 500:
            found.complaints[f"{where} {response.content[:200]!r} to {case.as_curl_command()[:600]}"] += 1
        try:
            case.validate_response(response, checks=list(CHECKS), headers=headers)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                found.complaints[f"{where}: {failure.title}: {failure.message[:200]} {dict(case.headers or {})}"] += 1

    try:
        one()
    except Unsatisfiable:
        # Of an operation that takes nothing no request is broken.
        assert mode is GenerationMode.NEGATIVE
