"""Role x route x method x whose study it is: every cell is asked, and what is not granted below is refused.

The grants are written down here once more, by hand, so that a change of policy that nobody meant shows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from route_checks import OPEN
from sweep_routes import screen, unsynced
from werkzeug.test import TestResponse

from server.model import Action, PatientIdentity
from server.web.app import action_of

TINY = PixelFormat(rows=16, columns=16)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
RELATIONS = ("own", "other", "none")
NOWHERE = "/2.25.404/2.25.405/2.25.406"

LOOK = {Action.SEARCH, Action.RETRIEVE_METADATA, Action.RETRIEVE_RENDERED, Action.RETRIEVE_THUMBNAIL}
VIEW = LOOK | {Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA}
GRANTED: Mapping[str, set[Action]] = {
    "clinician": VIEW | {Action.BREAK_GLASS, Action.SHARE, Action.READ_SHARES, Action.END_SHARE},
    "patient": VIEW,
    "recipient": VIEW | {Action.ACCEPT_SHARE, Action.READ_SHARES},
    "researcher": VIEW,
    "teacher": LOOK,
    "front-desk": LOOK | {Action.RECORD_CONSENT},
    "technologist": VIEW | {Action.STORE},
    "privacy-reviewer": LOOK | {Action.READ_QUEUE, Action.SETTLE, Action.READ_STATUS},
    "system-administrator": {Action.READ_STATUS},
    "security-administrator": {
        *(Action.LABEL, Action.APPROVE_PROJECT, Action.READ_SHARES, Action.END_SHARE),
    },
    "security-auditor": {Action.READ_AUDIT, Action.REVIEW_GLASS},
}
# Who is related to some studies and not to others. All others of those who see films see all of them, and know those
# of a project by pseudonyms only: to them "other" is an original identifier, which is nobody's.
RELATED = {"clinician", "patient", "recipient", "technologist"}
EVERYTHING = {"front-desk"}
# Whose level tells what was hidden where.
TOLD = {"clinician", "patient", "recipient", "technologist", "researcher", "privacy-reviewer"}
# Let in, and told that what it sent is no consent, no approval, no review, no share and no link, or names no share.
LET_IN: Mapping[tuple[str, Action], int] = {
    ("PUT", Action.RECORD_CONSENT): 400,
    ("PUT", Action.APPROVE_PROJECT): 400,
    ("POST", Action.REVIEW_GLASS): 400,
    ("POST", Action.SHARE): 400,
    ("POST", Action.ACCEPT_SHARE): 400,
    ("DELETE", Action.END_SHARE): 404,
}
# Here stands whose study it is; what is asked of the film itself may still not be there.
STUDY_RULE = re.compile(r"<study>")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One question: who, by which method, where, about whose study."""

    role: str
    method: str
    rule: str
    relation: str

    def expected(self, allowed: set[str]) -> set[int]:
        """The statuses that are right; anything else is a hole or a fault."""
        if self.method not in allowed:
            return {405}
        if self.method == "OPTIONS" or (("GET" if self.method == "HEAD" else self.method), self.rule) in OPEN:
            return {200, 204, 303, 400, 401, 403, 404, 415}
        action = action_of("GET" if self.method == "HEAD" else self.method, self.rule)
        assert action is not None
        if action not in GRANTED[self.role] and not (self.rule == "/wado" and self.role in _pictures()):
            return {403}
        if (self.method, action) in LET_IN:
            return {LET_IN[self.method, action]}
        if not STUDY_RULE.search(self.rule) and self.rule != "/wado":
            return {200, 204}
        reached = self.relation == "own" or (
            self.relation == "other" and (self.role in EVERYTHING or action in (Action.LABEL,))
        )
        if action is Action.STORE:
            return {200} if self.relation == "own" else {200, 409}
        if action is Action.BREAK_GLASS:
            return {400}
        if not reached:
            return {204} if action is Action.SEARCH else {404}
        if self.rule.endswith("/masked-regions") and self.role not in TOLD:
            return {404}
        # A settlement names the revision that was looked at (If-Match), which this one does not.
        return {412} if action is Action.SETTLE else {200, 204}


def _pictures() -> set[str]:
    return {role for role, actions in GRANTED.items() if Action.RETRIEVE_RENDERED in actions}


class World:
    """One film of radiology, one of surgery, and how each role calls them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.films = {"own": chest_film(TINY, study=1, canaries=False, PatientID="OWN", IssuerOfPatientID="I")}
        self.films["other"] = chest_film(
            TINY, study=2, canaries=False, PatientID="OTHER", IssuerOfPatientID="I", PatientName="OTHER^ONE"
        )
        for relation, department in (("own", "radiology"), ("other", "surgery")):
            name = "technologist" if relation == "own" else "surgery-technologist"
            token = house.token(name, roles=("technologist",), departments=(department,))
            assert house.store(part10_bytes(self.films[relation]), token=token).status_code == 200
        screen(house, ())
        self.tokens = {role: house.token(role) for role in GRANTED}
        self.tokens["patient"] = house.own_patient(PatientIdentity(issuer="I", patient_id="OWN"))
        self._share()
        self.named = {role: dict(self._names(role)) for role in GRANTED}

    def _share(self) -> None:
        """The clinician shares the own film with the recipient, whose token names no role that sees anything."""
        house = self.house
        person = str(house.services.tokens.verify(self.tokens["recipient"], house.now)["sub"])
        until = datetime.fromtimestamp(house.now + 3600, UTC).isoformat()
        body = {"study": str(self.films["own"].StudyInstanceUID), "level": "original", "purpose": "TREAT"}
        asked = {**body, "recipient": {"subject": person}, "until": until}
        given = house.request("POST", "/shares", "clinician", json=asked, token=self.tokens["clinician"])
        link = (given.json or {})["link"].partition("#")[2]
        taken = self.send("POST", "/accepted-shares", "recipient", json={"link": link})
        assert taken.status_code == 200

    def send(self, method: str, path: str, role: str, **options: Any) -> TestResponse:
        headers = {**options.pop("headers", {}), **({"Safelight-Role": role} if role == "recipient" else {})}
        return self.house.request(method, path, role, headers=headers, token=self.tokens[role], **options)

    def _names(self, role: str) -> Iterator[tuple[str, str]]:
        for relation, ds in self.films.items():
            yield relation, f"/{ds.StudyInstanceUID}/{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}"
        yield "none", NOWHERE
        if role not in RELATED | EVERYTHING:
            # By pseudonym, in whichever order: any film that is shown is the own one.
            for path in self.house.instances(role)[:1]:
                yield "own", "/" + "/".join(path.split("/")[3::2])

    def ask(self, cell: Cell) -> int:
        study, series, instance = self.named[cell.role][cell.relation].strip("/").split("/")
        names = {"study": study, "series": series, "instance": instance, "frames": "1", "element": "7FE00010"}
        path = re.sub(r"<(?:path:)?(\w+)>", lambda match: names.get(match[1], "safelight.css"), cell.rule)
        if cell.rule == "/wado":
            kind = "application/dicom" if Action.RETRIEVE_INSTANCE in GRANTED[cell.role] else "image/jpeg"
            path += f"?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}&contentType={kind}"
        if cell.rule.startswith("/review/studies") and cell.method in ("GET", "HEAD"):
            path = path.rstrip("/")
        options: dict[str, Any] = {}
        headers = {}
        action = action_of(cell.method, cell.rule)
        if action is Action.STORE:
            headers["Content-Type"] = "application/dicom"
            options["data"] = part10_bytes(self.films.get(cell.relation, self.films["own"]))
        elif action is Action.LABEL:
            options["json"] = {"departments": ["radiology" if cell.relation == "own" else "surgery"], "care_team": []}
        elif action is Action.BREAK_GLASS:
            # Not by those who may: a glass that was broken would change the cells that follow.
            reason = "no such reason" if cell.role == "clinician" else "emergency"
            options["json"] = {"reason": reason, "text": "unconscious on arrival"}
        elif action is Action.SETTLE:
            options["json"] = {"verdict": "mask-wholly"}
        with self.send(cell.method, path, cell.role, headers=headers, **options) as response:
            return response.status_code


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("matrix")) as house:
        unsynced(patch)
        yield World(house)


@pytest.mark.parametrize("role", sorted(GRANTED))
def test_every_cell_is_what_the_table_says(world: World, role: str) -> None:
    allowed: dict[str, set[str]] = {}
    for one in world.house.app.url_map.iter_rules():
        allowed.setdefault(one.rule, set()).update(one.methods or set())
    wrong, asked = [], Counter[str]()
    for rule, methods in sorted(allowed.items()):
        if rule in ("/sign-in", "/callback", "/role", "/sign-out", "/backchannel-logout"):
            continue  # ways in and out of a browser's session; what they let in is tested with them
        for method in METHODS:
            # What no method of the rule allows is refused before it matters whose study it is.
            for relation in RELATIONS if method in methods else RELATIONS[:1]:
                cell = Cell(role=role, method=method, rule=rule, relation=relation)
                status = world.ask(cell)
                asked[relation] += 1
                if status not in cell.expected(methods):
                    wrong.append((method, rule, relation, status, cell.expected(methods)))
    assert wrong == []
    assert min(asked.values()) > 60


def test_every_role_of_the_policy_has_its_row(world: World) -> None:
    assert set(GRANTED) == set(world.house.services.policy.current.roles)
