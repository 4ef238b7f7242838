"""Everybody who asks, what each is expected to see, and one house that holds every film."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from house import House
from sweep_films import HIGH, Film
from sweep_routes import FILTERS, Call, Client, Rule, calls, client, rules, short
from sweep_search import Finder
from sweep_turns import in_turn

from server.model import MaskingLevel, PatientIdentity
from server.negotiate import Offer

OWN_PATIENT = PatientIdentity(issuer="CANARY-ISSUER", patient_id="CANARY-PatientID")
BOTH = frozenset({1, 2})
# Changing things is asked for with bodies of its own, below.
WRITTEN: frozenset[Rule] = frozenset(
    {
        ("POST", "/dicomweb/studies"),
        ("POST", "/dicomweb/studies/<study>"),
        ("PUT", "/labels/studies/<study>"),
        ("PUT", "/consents/studies/<study>"),
        ("PUT", "/projects/<project>"),
        ("PUT", "/review/studies/<study>/series/<series>/instances/<instance>"),
        ("POST", "/break-glass/studies/<study>"),
        ("POST", "/break-glass/<entry>/review"),
        *(
            ("POST", f"/governance/{form}")
            for form in ("labels", "consents", "projects", "reviews", "shares", "ended-shares")
        ),
        ("POST", "/shares"),
        ("POST", "/accepted-shares"),
        ("DELETE", "/shares/<share>"),
        ("POST", "/role"),
        ("POST", "/sign-out"),
        ("POST", "/backchannel-logout"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, and what they are expected to see: films of these patients at this level, None: no film at all.

    `thorough`: in every media type; the others share their level with one who is. What is asked of single films is in
    turn: each film in a third of the media types, each media type of a third of the films (all: `make long-test`).
    """

    name: str
    user: str
    level: str | None = None
    patients: frozenset[int] = frozenset()
    role: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    thorough: bool = False

    def __str__(self) -> str:
        return self.name


RECIPIENT = Asker(name="recipient", user="guest", role="recipient", level="deidentified", patients=BOTH)
ASKERS = (
    Asker(name="clinician", user="clinician", level="original", patients=BOTH, thorough=True),
    Asker(name="patient", user="patient", level="patient", patients=frozenset({1}), changes={"patient": OWN_PATIENT},
          thorough=True),
    Asker(name="researcher", user="researcher", level="deidentified", patients=BOTH, thorough=True),
    Asker(name="teacher", user="teacher", level="teaching", patients=BOTH, thorough=True),
    Asker(name="front-desk", user="front-desk", level="front-desk", patients=BOTH, thorough=True),
    Asker(name="privacy-reviewer", user="privacy-reviewer", level="review", patients=BOTH, thorough=True),
    Asker(name="technologist", user="technologist", level="original", patients=BOTH),
    Asker(name="two-roles", user="clinician-researcher", level="deidentified", patients=BOTH),
    Asker(name="two-roles-as-clinician", user="clinician-researcher", role="clinician", level="original",
          patients=BOTH),
    Asker(name="two-roles-as-researcher", user="clinician-researcher", role="researcher", level="deidentified",
          patients=BOTH),
    RECIPIENT,
    Asker(name="another-patient", user="patient"),
    Asker(name="clinician-of-cardiology", user="clinician", changes={"departments": ("cardiology",)}),
    Asker(name="technologist-of-cardiology", user="technologist",
          changes={"departments": ("cardiology",), "name": "other"}),
    Asker(name="researcher-without-project", user="researcher", changes={"project": None}),
    Asker(name="teacher-without-project", user="teacher", changes={"project": None}),
    Asker(name="privacy-reviewer-without-project", user="privacy-reviewer", changes={"project": None}),
    Asker(name="system-administrator", user="system-administrator"),
    Asker(name="security-administrator", user="security-administrator"),
    Asker(name="security-auditor", user="security-auditor"),
    Asker(name="unknown-role", user="janitor"),
    Asker(name="researcher-who-names-another-role", user="researcher", role="clinician"),
    Asker(name="nobody", user=""),
)  # fmt: skip


NOBODY = ASKERS[-1]


def share_all(house: House, originals: Sequence[str]) -> None:
    """A clinician shares every study with the recipient, who accepts."""
    person = str(house.services.tokens.verify(house.token(RECIPIENT.user), house.now)["sub"])
    until = datetime.fromtimestamp(house.now + 86400, UTC).isoformat()
    for study in sorted({path.strip("/").split("/")[0] for path in originals}):
        body = {"study": study, "level": RECIPIENT.level, "purpose": "TREAT", "until": until}
        given = house.request("POST", "/shares", "clinician", json={**body, "recipient": {"subject": person}})
        link = {"link": given.get_json()["link"].partition("#")[2]}
        headers = {"Safelight-Role": str(RECIPIENT.role)}
        taken = house.request("POST", "/accepted-shares", RECIPIENT.user, json=link, headers=headers)
        assert taken.status_code == 200


@dataclass(frozen=True, kw_only=True)
class World:
    """A house with every film stored and screened, and what every route offers."""

    house: House
    films: Sequence[Film]
    offered: Mapping[Rule, tuple[Offer, ...]]
    originals: Sequence[str]

    def client(self, asker: Asker) -> Client:
        if not asker.user:
            return Client(name=asker.name, token=None)
        token = self.house.token(asker.user, **asker.changes)
        if asker.user == "janitor":
            return Client(name=asker.name, token=token)
        return client(self.house, asker.name, token, asker.role)

    def instances(self, asker: Asker) -> list[str]:
        """Every instance that this caller finds, under the names of their world."""
        who = self.client(asker)
        headers = {"Safelight-Role": asker.role} if asker.role else {}
        return [short(path) for path in self.house.instances(asker.user, token=who.token or "none", headers=headers)]

    def level(self, asker: Asker) -> MaskingLevel | None:
        return self.house.services.policy.current.levels[asker.level] if asker.level else None

    def finder(self, asker: Asker) -> Finder:
        """What this caller must not be sent."""
        level = self.level(asker)
        planted = [(film.patient, one) for film in self.films for one in film.canaries]
        shown = {one.text for patient, one in planted if level and patient in asker.patients and one.shown(level)}
        hidden = {one.text for _, one in planted} - shown
        keeps_bits = level is not None and level.keep_unused_bits
        hidden |= set() if keeps_bits else {HIGH}
        overlapping = {text for text in hidden if any(text in other for other in shown)}
        assert not {text for text in overlapping if len(text) > 4}, overlapping
        return Finder(hidden - overlapping, stem=not any("CANARY" in text.upper() for text in shown) and not keeps_bits)


def wanted(world: World, asker: Asker, instances: Sequence[str]) -> Iterator[Call]:
    """Every resource that these instances make; for the thorough in every media type, of single films in turn."""
    for rule in sorted(rules(world.house) - WRITTEN):
        alone = "<instance>" in rule[1] or rule == ("GET", "/wado")
        frames = ("1", "1,2") if alone and asker.thorough else ("1",)
        brief = not asker.thorough or ("<series>" in rule[1] and not alone)
        filters = FILTERS if asker.thorough and rule[1].count("<") == 0 else FILTERS[:2]
        offered = world.offered.get(rule, ())
        some = instances if asker.thorough else instances[::3]
        found = calls(rule, offered, some, frames=frames, filters=filters, brief=brief)
        yield from in_turn(found, ASKERS.index(asker)) if alone and asker.thorough else found


def other_world(world: World, asker: Asker) -> str:
    level = world.level(asker)
    if level is not None and level.pseudonyms:
        return str(world.originals[0])
    return world.instances(ASKERS[2])[0]
