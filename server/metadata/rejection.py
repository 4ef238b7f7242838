"""Rejection notes: Key Object Selection documents that take instances back (PS3.16 CID 7010 and 7011, IHE IOCM)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.errors import BadRequest, UnreadableObject
from server.metadata.elements import Elements, first_text
from server.model import InstancePath

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
CODES = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
_TITLE, _CODE, _SCHEME = 0x0040A043, 0x00080100, 0x00080102
_EVIDENCE, _SERIES, _INSTANCES = 0x0040A375, 0x00081115, 0x00081199
_STUDY_UID, _SERIES_UID, _INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00081155


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """What a note rejects, and why: one of `CODES` as a number."""

    code: int
    paths: frozenset[InstancePath]


def rejection_of(sop_class_uid: str, elements: Elements) -> Rejection | None:
    """What an object rejects; None for every object that is no rejection note.

    Goes by the evidence, which names all that the content refers to (PS3.3 C.17.6.2.1). Raises `UnreadableObject` for
    a note that names nothing, or something without its UIDs: it would hide less than was meant.
    """
    if sop_class_uid != KEY_OBJECTS:
        return None
    titles = {first_text(item, _CODE) for item in _items(elements, _TITLE) if first_text(item, _SCHEME) == "DCM"}
    code = next(iter(sorted(titles & CODES.keys())), None)
    if code is None:
        return None
    try:
        paths = frozenset(_paths(elements))
    except BadRequest as error:
        raise UnreadableObject("a rejection note names an instance without its UIDs") from error
    if not paths:
        raise UnreadableObject("a rejection note names no instance")
    return Rejection(code=int(code), paths=paths)


def _paths(elements: Elements) -> Iterator[InstancePath]:
    for study in _items(elements, _EVIDENCE):
        for series in _items(study, _SERIES):
            for instance in _items(series, _INSTANCES):
                yield InstancePath(
                    study=first_text(study, _STUDY_UID),
                    series=first_text(series, _SERIES_UID),
                    instance=first_text(instance, _INSTANCE_UID),
                )


def _items(elements: Elements, tag: int) -> tuple[Elements, ...]:
    found = elements.get(tag)
    return found.items or () if found is not None else ()
