"""What has to be true of the rules: claims that a bundle's files state, and changes that may never unmask.

Each is put to the real engine at every point of the finite space, and proved for every situation there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from server.policy.order import shows_more
from server.policy.points import answered, answers
from server.policy.space import OWN, Cell, NotFinite, Point, Value, applies, cell
from server.policy.symbolic import Formulas
from server.policy.words import PolicyBundle

_CHUNK = 4000


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of the situation after which no role may see at a level that it did not see at before.

    `after` is what becomes of the value of `path`; `to` says the same to a proof: ("is", value), ("with", value) of a
    set, ("without", value).
    """

    identifier: str
    note: str
    path: str
    to: tuple[str, str]

    def after(self, value: Value) -> Value:
        how, what = self.to
        if how == "is":
            wholes: Mapping[str, Value] = {"false": False, "()": (), "absent": None}
            return wholes.get(what, what)
        kept = value if isinstance(value, tuple) else ()
        return tuple(one for one in kept if one != what) if how == "without" else (*kept, *({what} - set(kept)))


CHANGES = (
    Change(
        identifier="withdrawn-disclosure-never-unmasks",
        note="A patient who withdraws the consent to disclosure is not shown more of.",
        path="resource.consent.disclosure",
        to=("is", "opt-out"),
    ),
    Change(
        identifier="withdrawn-research-never-unmasks",
        note="A patient who withdraws the consent to research is not shown more of.",
        path="resource.consent.research",
        to=("is", "opt-out"),
    ),
    Change(
        identifier="ended-project-never-unmasks",
        note="A project that ends shows no more.",
        path="principal.approval",
        to=("is", "ended"),
    ),
    *(
        Change(
            identifier=f"label-{label}-never-unmasks",
            note=f"The label {label} shows no more to anybody.",
            path="resource.labels",
            to=("with", label),
        )
        for label in ("vip", "staff", "minor", "sensitive-body-part", "legal-case")
    ),
    *(
        Change(
            identifier=f"going-{zone}-never-unmasks",
            note=f"From the zone {zone} no more is seen.",
            path="context.zone",
            to=("is", zone),
        )
        for zone in ("outside", "unknown")
    ),
    Change(
        identifier="odd-purpose-never-unmasks",
        note="A purpose of use that nobody knows opens nothing.",
        path="context.purpose",
        to=("is", "unknown"),
    ),
    Change(
        identifier="leaving-the-care-team-never-unmasks",
        note="Who leaves the care team sees no more.",
        path="resource.care_team",
        to=("without", OWN),
    ),
    Change(
        identifier="leaving-the-departments-never-unmasks",
        note="Who leaves all departments sees no more.",
        path="principal.departments",
        to=("is", "()"),
    ),
    Change(
        identifier="a-whole-glass-never-unmasks",
        note="When the time of a broken glass is over, no more is seen.",
        path="context.broken_glass",
        to=("is", "false"),
    ),
    Change(
        identifier="an-ended-share-never-unmasks",
        note="When a share has ended, no more is seen.",
        path="principal.share",
        to=("is", "absent"),
    ),
    Change(
        identifier="a-giver-s-loss-never-unmasks",
        note="A recipient whose giver sees less sees no more.",
        path="principal.share.giver",
        to=("is", "front-desk"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one claim: `broken` says where it does not hold, empty if it does."""

    identifier: str
    note: str
    broken: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """The exhaustive run: how many situations were put to the engine in how many cells, and what was found."""

    situations: int
    cells: int
    permitted: int
    verdicts: tuple[Verdict, ...]


def cells(bundle: PolicyBundle) -> Iterator[Cell]:
    """A cell for every role and action: with the attributes of rules, claims and changes where something is permitted.

    Where no permit's scope takes a role and an action in, Cedar permits nothing whatever the situation: one situation
    is tried.
    """
    book = bundle.book
    rules = list(book.rules.values())
    for role in sorted(book.roles):
        for action in sorted(book.actions):
            permitting = any(rule.permits and applies(book, rule, role, action) for rule in rules)
            yield cell(book, role, action, [*rules, *bundle.claims.values()] if permitting else [])


def try_all(bundle: PolicyBundle, within: Iterable[Cell]) -> Tried:
    """Put every situation of these cells to the real engine; `cells` gives all. Raises `NotFinite`."""
    broken: dict[str, list[str]] = {name: [] for name in [*bundle.claims, *(one.identifier for one in CHANGES)]}
    situations = permitted = count = 0
    problems: list[str] = []
    for here in within:
        count += 1
        outcome = {}
        for point, answer in answers(bundle.book, here):
            outcome[point] = answer.allowed
            if answer.problem:
                problems.append(told(here, point))
        situations += len(outcome)
        shown = [point for point, allowed in outcome.items() if allowed]
        permitted += len(shown)
        for name, point in _violations(bundle, here, shown):
            broken[name].append(told(here, point))
        for change in CHANGES:
            broken[change.identifier] += [told(here, point) for point in _unmasked(change, here, outcome)]
    notes = {name: rule.note for name, rule in bundle.claims.items()} | {one.identifier: one.note for one in CHANGES}
    found = [Verdict(identifier=name, note=notes[name], broken=tuple(where)) for name, where in broken.items()]
    engine = Verdict(identifier="no-rule-raises", note="No rule raises an error.", broken=tuple(problems))
    levels = Verdict(
        identifier="levels-are-monotone",
        note="A level that is declared more masked shows nothing that the other hides.",
        broken=tuple(_unordered(bundle)),
    )
    return Tried(situations=situations, cells=count, permitted=permitted, verdicts=(*found, engine, levels))


def prove_all(bundle: PolicyBundle) -> tuple[Verdict, ...]:
    """Prove or refute every claim and every change for all situations. Raises `NotFinite`, `ConfigurationError`."""
    return (*prove_claims(bundle), *prove_changes(bundle))


def prove_claims(bundle: PolicyBundle) -> Iterator[Verdict]:
    """Prove or refute the claims that the bundle states. Raises as `prove_all`."""
    book, formulas = bundle.book, Formulas(bundle.book)
    for name, claim in bundle.claims.items():
        broken = []
        for action in sorted(book.actions):
            if any(applies(book, claim, role, action) for role in book.roles):
                taken = formulas.z3.And(formulas.allowed(action), formulas.matches(claim, action))
                if (model := formulas.refuted(taken)) is not None:
                    broken.append(f"{action}: {' '.join(str(model).split())}")
        yield Verdict(identifier=name, note=claim.note, broken=tuple(broken))


def prove_changes(bundle: PolicyBundle) -> Iterator[Verdict]:
    """Prove or refute that no change of `CHANGES` shows more. Raises as `prove_all`."""
    formulas = Formulas(bundle.book)
    for change in CHANGES:
        broken = []
        for level in sorted(bundle.book.views):
            before = formulas.allowed(level)
            after = formulas.changed(before, change.path, *change.to)
            if (model := formulas.refuted(formulas.z3.And(after, formulas.z3.Not(before)))) is not None:
                broken.append(f"{level}: {' '.join(str(model).split())}")
        yield Verdict(identifier=change.identifier, note=change.note, broken=tuple(broken))


def told(here: Cell, point: Point) -> str:
    """A situation in a line."""
    values = ", ".join(f"{path} = {_value(value)}" for path, value in zip(here.axes, point, strict=True))
    return f"{here.role} at {here.action}" + (f" with {values}" if values else "")


def _value(value: Value) -> str:
    return "{" + ", ".join(value) + "}" if isinstance(value, tuple) else "absent" if value is None else str(value)


def _violations(bundle: PolicyBundle, here: Cell, shown: list[Point]) -> Iterator[tuple[str, Point]]:
    """The claims that a permitted situation breaks: those whose `forbid` the engine finds to take it in."""
    alone = replace(bundle.book, policies=bundle.claim_set)
    for start in range(0, len(shown), _CHUNK):
        chunk = shown[start : start + _CHUNK]
        for point, answer in zip(chunk, answered(alone, here, chunk), strict=True):
            if answer.problem:
                raise NotFinite("a claim could not be evaluated")
            yield from ((name, point) for name in answer.rules)


def _unmasked(change: Change, here: Cell, outcome: Mapping[Point, bool]) -> Iterator[Point]:
    if change.path not in here.axes:
        return
    at = list(here.axes).index(change.path)
    known = {_same(value): value for value in here.axes[change.path]}
    for point, allowed in outcome.items():
        after = _same(change.after(point[at]))
        if not allowed and after in known and outcome[(*point[:at], known[after], *point[at + 1 :])]:
            yield point


def _same(value: Value) -> object:
    return frozenset(value) if isinstance(value, tuple) else value


def _unordered(bundle: PolicyBundle) -> Iterator[str]:
    for name, others in bundle.order.less_masked.items():
        for other in sorted(others):
            for sentence in shows_more(bundle.levels[name], bundle.levels[other]):
                yield f"{name} and {other}: {sentence}"
