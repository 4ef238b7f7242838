"""The finite space of situations that the rules can tell apart.

Cedar compares text for equality only, so beside the words that a rule names, one more stands for all others; numbers
are tried at, below and above every bound that a rule names; of a closed list every member that a rule names is tried,
and one other. What no rule about a role and an action reads is left out: it cannot change an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from cedarpy import pst

from server.policy.mentions import parts
from server.policy.words import Rule, RuleBook

Value = str | int | bool | tuple[str, ...] | None
Point = tuple[Value, ...]
"""One value for each axis of a cell, None where an optional attribute is absent."""

OWN = "own-subject"
OTHER = "something else"
PROJECT = "a project"
PATIENTS = {"own": ("A", "1"), "other issuer": ("B", "1"), "other": ("A", "2"), "unnamed": ("A", "")}
THIS = "this study"
PRESENT = "there is one"
_ENUMS = {
    "principal.share.level": "Level",
    "principal.share.giver": "Level",
    "principal.approval": "Approval",
    "resource.consent.disclosure": "Choice",
    "resource.consent.research": "Choice",
    "context.purpose": "Purpose",
    "context.zone": "Zone",
}
_OPTIONAL = frozenset(
    {
        *("principal.project", "principal.approval", "principal.patient", "principal.share"),
        *("context.purpose", "context.acr", "context.hour", "context.weekday"),
    }
)
_NUMBERS = frozenset({"resource.age_hours", "context.hour", "context.weekday"})
_SETS = frozenset({"principal.departments", "resource.departments", "resource.care_team", "resource.modalities"})
BASE: Mapping[str, Value] = {
    "principal.departments": (),
    "principal.project": None,
    "principal.approval": None,
    "principal.patient": None,
    "principal.share": None,
    "principal.share.study": THIS,
    "principal.share.level": "original",
    "principal.share.giver": "original",
    "resource.study": THIS,
    "resource.departments": (),
    "resource.care_team": (),
    "resource.labels": (),
    "resource.consent.disclosure": "unsaid",
    "resource.consent.research": "unsaid",
    "resource.stored_by": OTHER,
    "resource.stored_department": OTHER,
    "resource.age_hours": 1000,
    "resource.patient": "other",
    "resource.modalities": (),
    "context.transaction": "search",
    "context.purpose": None,
    "context.acr": None,
    "context.zone": "unknown",
    "context.hour": None,
    "context.weekday": None,
    "context.broken_glass": False,
}


class NotFinite(ValueError):
    """A rule does something with an attribute that no finite number of values stands for."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """All situations of one role and one action: `axes` maps each attribute that plays a part to its values."""

    role: str
    action: str
    axes: Mapping[str, tuple[Value, ...]]

    @property
    def size(self) -> int:
        count = 1
        for values in self.axes.values():
            count *= len(values)
        return count

    def points(self) -> Iterator[Point]:
        return product(*self.axes.values())

    def full(self, point: Point) -> Mapping[str, Value]:
        """A point with every attribute that it leaves out."""
        return {**BASE, **dict(zip(self.axes, point, strict=True))}


def cell(book: RuleBook, role: str, action: str, rules: Sequence[Rule]) -> Cell:
    """The situations that these rules tell apart for a role and an action. Raises `NotFinite`."""
    found = _Named()
    for rule in rules:
        if applies(book, rule, role, action):
            for node in _live(rule.parsed.clauses, role):
                found.note(node)
    axes = {path: tuple(_domain(book, path, found)) for path in BASE if path in found.paths}
    return Cell(role=role, action=action, axes=axes)


_LOGIC = frozenset({"and", "or"})
_KNOWN = frozenset(
    {
        *("eq", "not_eq", "less", "less_eq", "greater", "greater_eq", "in"),
        *("contains", "contains_all", "contains_any"),
    }
)


class _Named:
    """What rules name: the attributes, and beside which of them which words, numbers and members of lists stand."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._beside: list[tuple[set[str], set[object]]] = []
        self.whole_sets = False

    def note(self, node: object) -> None:
        if isinstance(node, pst.Like | pst.Is):
            raise NotFinite(f"{type(node).__name__} has no finite number of cases")
        if path := path_of(node):
            self.paths.add(path)
        if isinstance(node, pst.UnaryOp) and node.op != "not":
            self.whole_sets = True
        if isinstance(node, pst.BinaryOp) and node.op not in _LOGIC:
            if node.op not in _KNOWN:
                raise NotFinite(f"{node.op} has no finite number of cases")
            inside = list(_all(node))
            named: set[object] = {one.value for one in inside if isinstance(one, pst.StringLit | pst.LongLit)}
            named |= {one.value.id for one in inside if isinstance(one, pst.EntityLit)}
            paths = {path for one in inside if (path := path_of(one))}
            self.whole_sets |= node.op in ("eq", "not_eq", "contains_all") and bool(paths & {*_SETS, "resource.labels"})
            self._beside.append((paths, named))

    def beside(self, path: str) -> set[object]:
        """What an attribute is held against, by itself or through others that it is held against."""
        group, named = {path}, set()
        for _ in self._beside:
            for paths, words in self._beside:
                if paths & group:
                    group |= paths
                    named |= words
        return named

    def words(self, path: str) -> list[str]:
        return sorted(one for one in self.beside(path) if isinstance(one, str))


def _all(node: object) -> Iterator[object]:
    yield node
    if not path_of(node):
        for part in parts(node):
            yield from _all(part)


def _domain(book: RuleBook, path: str, found: _Named) -> Iterator[Value]:
    if path in _OPTIONAL:
        yield None
    if path in _ENUMS:
        yield from _some(book.enums[_ENUMS[path]], found.words(path))
    elif path == "resource.labels":
        # A label that no rule names counts only where a rule looks at the whole set.
        others = [one for one in book.enums["Label"] if one not in found.words(path)]
        yield from _subsets([*found.words(path), *others[: int(found.whole_sets)]])
    elif path == "resource.care_team":
        yield from _subsets([OWN, *found.words(path), OTHER], most=1)
    elif path in _SETS:
        yield from _subsets([*found.words(path), OTHER])
    elif path in _NUMBERS:
        bounds = {one for one in found.beside(path) if isinstance(one, int)} or {0}
        yield from sorted({bound + step for bound in bounds for step in (-1, 0, 1)})
    elif path in _FIXED:
        yield from _FIXED[path]
    else:
        own = [OWN] if path == "resource.stored_by" else []
        yield from (*own, *found.words(path), OTHER)


_FIXED: Mapping[str, tuple[Value, ...]] = {
    "context.broken_glass": (False, True),
    "principal.project": ("", PROJECT),
    "principal.share": (PRESENT,),
    "principal.share.study": (THIS, OTHER),
    "resource.study": (THIS,),
    "principal.patient": ("own", "unnamed"),
    "resource.patient": tuple(PATIENTS),
}


def _some(every: Sequence[str], named: Sequence[str]) -> Sequence[str]:
    """The members that a rule names and the first other; of a short list all."""
    return every if len(every) <= 4 else (*named, *[one for one in every if one not in named][:1])


def _subsets(words: Sequence[str], most: int | None = None) -> tuple[tuple[str, ...], ...]:
    top = len(words) if most is None else most
    return tuple(chosen for size in range(top + 1) for chosen in combinations(words, size))


def applies(book: RuleBook, rule: Rule, role: str, action: str) -> bool:
    """Whether a rule's scope takes in a role and an action, whatever the situation."""
    scope = rule.parsed.action
    if isinstance(scope, pst.ActionEq | pst.ActionIn):
        named = {scope.entity.id} if isinstance(scope, pst.ActionEq) else {one.id for one in scope.entities}
        if action not in named and not ("view" in named and action in book.views):
            return False
    if isinstance(rule.parsed.principal, pst.ScopeAny):
        return True
    return rule.role is None or rule.role == role


def _live(node: object, role: str) -> Iterator[object]:
    """Every node that can still matter once the role is known, from the outside in."""
    if isinstance(node, pst.Unless) and _known(node.expr, role) is False:
        return
    yield node
    if path_of(node):
        return
    if isinstance(node, tuple) and any(_holds(one, role) is False for one in node):
        return
    if isinstance(node, pst.BinaryOp) and node.op in ("and", "or") and _known(node, role) is not None:
        return
    if isinstance(node, pst.BinaryOp) and node.op == "in" and _known(node, role) is not None:
        return
    for part in parts(node):
        yield from _live(part, role)


def _holds(clause: object, role: str) -> bool | None:
    """Whether a clause of a rule holds for the role alone; None where the situation decides, or it is no clause."""
    if isinstance(clause, pst.When):
        return _known(clause.expr, role)
    if isinstance(clause, pst.Unless):
        inside = _known(clause.expr, role)
        return None if inside is None else not inside
    return None


def _known(node: object, role: str) -> bool | None:
    """The value of an expression where the role alone gives it."""
    if isinstance(node, pst.BoolLit):
        return node.value
    if isinstance(node, pst.UnaryOp) and node.op == "not":
        inside = _known(node.arg, role)
        return None if inside is None else not inside
    if isinstance(node, pst.BinaryOp) and node.op == "in" and isinstance(node.left, pst.Var):
        named = node.right.elements if isinstance(node.right, pst.Set) else (node.right,)
        return any(isinstance(one, pst.EntityLit) and one.value.id == role for one in named)
    if isinstance(node, pst.BinaryOp) and node.op in ("and", "or"):
        sides = [_known(node.left, role), _known(node.right, role)]
        decisive = node.op == "or"
        if decisive in sides:
            return decisive
        return None if None in sides else not decisive
    return None


def path_of(node: object) -> str:
    """`resource.consent.research` of an expression that reads it, or asks whether it is there; "" of any other."""
    if isinstance(node, pst.HasAttr) and len(node.attrs) == 1:
        return path_of(pst.GetAttr(base=node.base, attr=node.attrs[0]))
    names = []
    while isinstance(node, pst.GetAttr):
        names.append(node.attr)
        node = node.base
    if not isinstance(node, pst.Var) or not names:
        return ""
    path = ".".join([node.name, *reversed(names)])
    for whole in ("principal.patient", "resource.patient"):
        path = whole if path.startswith(f"{whole}.") else path
    return "" if path == "principal.subject" else path
