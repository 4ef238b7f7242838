"""The rules as formulas over every situation there is, so that a claim can be proved and not only tried.

Needs z3 (`pip install safelight[verify]`). Text is a sort of its own in which only equality means anything, as in
Cedar; sets are sets; numbers are whole numbers without bound, so arithmetic, which could overflow, is not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cedarpy import pst

from server.errors import ConfigurationError
from server.policy.space import BASE, OWN, PATIENTS, Cell, NotFinite, Point, applies
from server.policy.words import Rule, RuleBook

_SET_ATTRIBUTES = frozenset({"departments", "care_team", "labels", "modalities"})
_NUMBERS = frozenset({"age_hours", "hour", "weekday"})
_KINDS = {
    "principal.share.level": "Level",
    "principal.share.giver": "Level",
    "resource.labels": "Label",
    "principal.approval": "Approval",
    "resource.consent.disclosure": "Choice",
    "resource.consent.research": "Choice",
    "context.purpose": "Purpose",
    "context.zone": "Zone",
}


class Formulas:
    """Formulas about one request in the schema of a bundle. Raises `ConfigurationError` where z3 is not installed."""

    def __init__(self, book: RuleBook) -> None:
        try:
            import z3
        except ImportError:
            raise ConfigurationError("proofs need z3: install safelight[verify]") from None
        self.z3: Any = z3
        self._book = book
        self._text = z3.DeclareSort("Text")
        self._words: dict[str, Any] = {}
        self._variables: dict[str, Any] = {}
        self.role = z3.Const("role", self._text)

    def word(self, text: str) -> Any:
        """The constant that stands for a text; members of closed lists are texts with their list before them."""
        return self._words.setdefault(text, self.z3.Const(f"text:{text}", self._text))

    def variable(self, path: str) -> Any:
        """The variable of an attribute."""
        if path not in self._variables:
            name = path.rpartition(".")[2]
            z3 = self.z3
            sort: Any = self._text
            if name in _SET_ATTRIBUTES:
                sort = z3.SetSort(self._text)
            elif name in _NUMBERS:
                sort = z3.IntSort()
            elif name == "broken_glass" or path.endswith("?"):
                sort = z3.BoolSort()
            self._variables[path] = z3.Const(path, sort)
        return self._variables[path]

    def allowed(self, action: str, rules: Iterable[Rule] | None = None) -> Any:
        """That the rules permit an action."""
        every = list(self._book.rules.values()) if rules is None else list(rules)
        permits = [self.matches(rule, action) for rule in every if rule.permits]
        forbids = [self.matches(rule, action) for rule in every if not rule.permits]
        return self.z3.And(self.z3.Or(permits), self.z3.Not(self.z3.Or(forbids)))

    def matches(self, rule: Rule, action: str) -> Any:
        """That scope and conditions of a rule take in a request for an action."""
        if not any(applies(self._book, rule, role, action) for role in self._book.enums["Role"]):
            return self.z3.Or()
        if not isinstance(rule.parsed.resource, pst.ScopeAny) or (
            rule.role is None and not isinstance(rule.parsed.principal, pst.ScopeAny)
        ):
            raise NotFinite(f"the scope of `{rule.identifier}` is not taken in proofs")
        found = [] if rule.role is None else [self.role == self.word(f"Role::{rule.role}")]
        for clause in rule.parsed.clauses:
            held = self.expression(clause.expr)
            found.append(held if isinstance(clause, pst.When) else self.z3.Not(held))
        return self.z3.And(found)

    def changed(self, formula: Any, path: str, how: str, what: str) -> Any:
        """A formula after a change of one attribute: it `is`, or is `with` or `without`, a value."""
        kind = f"{_KINDS[path]}::" if path in _KINDS else ""
        variable, z3 = self.variable(path), self.z3
        if what == "absent":
            return z3.substitute(formula, (self.variable(f"{path}?"), z3.Or()))
        if what in ("true", "false"):
            value: Any = z3.BoolVal(what == "true")
        elif what == "()":
            value = z3.EmptySet(self._text)
        elif what == OWN:
            value = self.variable("principal.subject")
        else:
            value = self.word(f"{kind}{what}")
        if how != "is":
            value = (z3.SetAdd if how == "with" else z3.SetDel)(variable, value)
        pairs = [(variable, value)]
        if BASE[path] is None:
            pairs.append((self.variable(f"{path}?"), z3.And()))
        return z3.substitute(formula, *pairs)

    def facts(self) -> Any:
        """What is true of every request: texts that are written differently differ, closed lists are closed."""
        z3, found = self.z3, []
        lists = {name: [self.word(f"{name}::{one}") for one in members] for name, members in self._book.enums.items()}
        if len(self._words) > 1:
            found.append(z3.Distinct(list(self._words.values())))
        found.append(z3.Or([self.role == one for one in lists["Role"]]))
        for path, kind in _KINDS.items():
            value = self.variable(path)
            if kind == "Label":
                members = z3.EmptySet(self._text)
                for one in lists[kind]:
                    members = z3.SetAdd(members, one)
                found.append(z3.IsSubset(value, members))
            else:
                found.append(z3.Or([value == one for one in lists[kind]]))
        return z3.And(found)

    def refuted(self, claim: Any) -> Any | None:
        """A model in which a formula is true; None if there is none, so that its contrary is proved."""
        solver = self.z3.Solver()
        solver.set("timeout", 60_000)
        solver.add(claim, self.facts())
        answer = solver.check()
        if answer == self.z3.unknown:
            raise NotFinite("a claim could be neither proved nor refuted")
        return solver.model() if answer == self.z3.sat else None

    def expression(self, node: object) -> Any:
        """The value of an expression. Raises `NotFinite` for what is not taken."""
        match node:
            case pst.BoolLit() | pst.LongLit() | pst.StringLit() | pst.EntityLit():
                return self._literal(node)
            case pst.Set(elements=elements):
                found = self.z3.EmptySet(self._text)
                for one in elements:
                    found = self.z3.SetAdd(found, self.expression(one))
                return found
            case pst.HasAttr() | pst.GetAttr():
                return self._attribute(node)
            case pst.BinaryOp(op="in", left=pst.Var(name="principal"), right=right):
                named = right.elements if isinstance(right, pst.Set) else (right,)
                return self.z3.Or([self.role == self.expression(one) for one in named])
            case pst.BinaryOp(op=op, left=left, right=right) if op in _OPERATORS:
                return self._operation(op, self.expression(left), self.expression(right))
        return self._rest(node)

    def _rest(self, node: object) -> Any:
        match node:
            case pst.IfThenElse(cond=cond, then_expr=then, else_expr=other):
                return self.z3.If(self.expression(cond), self.expression(then), self.expression(other))
            case pst.UnaryOp(op="not", arg=inside):
                return self.z3.Not(self.expression(inside))
            case pst.UnaryOp(op="is_empty", arg=inside):
                return self.expression(inside) == self.z3.EmptySet(self._text)
        raise NotFinite(f"{type(node).__name__} is not taken in proofs")

    def _literal(self, node: pst.BoolLit | pst.LongLit | pst.StringLit | pst.EntityLit) -> Any:
        if isinstance(node, pst.BoolLit):
            return self.z3.BoolVal(node.value)
        if isinstance(node, pst.LongLit):
            return self.z3.IntVal(node.value)
        if isinstance(node, pst.StringLit):
            return self.word(node.value)
        return self.word(f"{node.value.type.basename}::{node.value.id}")

    def _attribute(self, node: pst.GetAttr | pst.HasAttr) -> Any:
        if isinstance(node, pst.HasAttr):
            path = f"{node.base.name}.{node.attrs[0]}" if isinstance(node.base, pst.Var) else ""
            if len(node.attrs) != 1 or not path:
                raise NotFinite("an attribute of no variable")
            optional = path in BASE and BASE[path] is None
            return self.variable(f"{path}?") if optional else self.z3.And()
        names, at = [node.attr], node.base
        while isinstance(at, pst.GetAttr):
            names.append(at.attr)
            at = at.base
        if not isinstance(at, pst.Var):
            raise NotFinite("an attribute of no variable")
        path = ".".join([at.name, *reversed(names)])
        if path.rpartition(".")[2] == "patient":
            return {name: self.variable(f"{path}.{name}") for name in ("issuer", "id")}
        return self.variable(path)

    def _operation(self, op: str, left: Any, right: Any) -> Any:
        z3 = self.z3
        if isinstance(left, dict) and op in ("eq", "not_eq"):
            same = z3.And([left[name] == right[name] for name in left])
            return same if op == "eq" else z3.Not(same)
        table = {
            "eq": lambda: left == right,
            "not_eq": lambda: left != right,
            "less": lambda: left < right,
            "less_eq": lambda: left <= right,
            "greater": lambda: left > right,
            "greater_eq": lambda: left >= right,
            "and": lambda: z3.And(left, right),
            "or": lambda: z3.Or(left, right),
            "contains": lambda: z3.IsMember(right, left),
            "contains_all": lambda: z3.IsSubset(right, left),
            "contains_any": lambda: z3.SetIntersect(left, right) != z3.EmptySet(self._text),
        }
        return table[op]()

    def at(self, formula: Any, within: Cell, point: Point) -> bool:
        """The truth of a formula at one point of the finite space: to hold formulas against the engine."""
        z3 = self.z3
        solver = z3.Solver()
        solver.add(formula, self.role == self.word(f"Role::{within.role}"))
        solver.add(self.variable("principal.subject") == self.word(OWN))
        for path, value in within.full(point).items():
            solver.add(*self._is(path, value))
        solver.add(self.facts())
        return bool(solver.check() == z3.sat)

    def _is(self, path: str, value: object) -> Sequence[Any]:
        if BASE[path] is None:
            has = self.variable(f"{path}?")
            if value is None:
                return [self.z3.Not(has)]
            return [has, *self._equals(path, value)]
        return self._equals(path, value)

    def _equals(self, path: str, value: object) -> Sequence[Any]:
        kind = f"{_KINDS[path]}::" if path in _KINDS else ""
        if path.endswith(".patient"):
            issuer, identifier = PATIENTS[str(value)]
            parts: Mapping[str, str] = {"issuer": issuer, "id": identifier}
            return [self.variable(f"{path}.{name}") == self.word(text) for name, text in parts.items()]
        if isinstance(value, tuple):
            found = self.z3.EmptySet(self._text)
            for one in value:
                found = self.z3.SetAdd(found, self.word(f"{kind}{one}"))
            return [self.variable(path) == found]
        if isinstance(value, bool | int):
            return [self.variable(path) == value]
        return [self.variable(path) == self.word(f"{kind}{value}")]


_OPERATORS = frozenset(
    {
        *("eq", "not_eq", "less", "less_eq", "greater", "greater_eq", "and", "or"),
        *("contains", "contains_all", "contains_any"),
    }
)
