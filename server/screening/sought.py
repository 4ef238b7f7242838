"""Who looks for faces: what the detectors of faces and of heads call themselves, so that a version tells."""

from __future__ import annotations

FACES, HEADS = "centerface", "head"


def looks_for_faces(version: str) -> bool:
    """Whether the detectors of this version, joined with "+", look for faces in pictures and on heads in volumes."""
    names = {part.partition(":")[0] for part in version.split("+")}
    return {FACES, HEADS} <= names
