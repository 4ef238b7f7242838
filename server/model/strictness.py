"""How much an action hides, in one place: X over Z over D over U and C over K."""

from __future__ import annotations

from collections.abc import Iterable

from server.model.lists import ElementAction

STRENGTH = {
    ElementAction.KEEP: 0,
    ElementAction.UID: 1,
    ElementAction.CLEAN: 1,
    ElementAction.DUMMY: 2,
    ElementAction.ZERO: 3,
    ElementAction.REMOVE: 4,
}


def strictest(actions: Iterable[ElementAction]) -> ElementAction:
    return max(actions, key=STRENGTH.__getitem__)


def at_least(action: ElementAction, other: ElementAction) -> bool:
    """Whether `action` may stand in for `other`: it hides as much, or is the dummy that PS3.15 allows for Z."""
    allowed = STRENGTH[action] >= STRENGTH[other]
    return allowed or (action is ElementAction.DUMMY and other is ElementAction.ZERO)
