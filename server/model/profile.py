"""PS3.15 annex E in the house's words: the Basic Profile, its options, and how one level file chose among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from server.model.lists import ElementAction


class ProfileOption(StrEnum):
    """The options of the Basic Application Level Confidentiality Profile (PS3.15 section E.3), as level files say."""

    CLEAN_PIXEL_DATA = "clean-pixel-data"
    CLEAN_RECOGNIZABLE_VISUAL_FEATURES = "clean-recognizable-visual-features"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    RETAIN_LONG_FULL_DATES = "retain-long-full-dates"
    RETAIN_LONG_MODIFIED_DATES = "retain-long-modified-dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"
    RETAIN_UIDS = "retain-uids"
    RETAIN_SAFE_PRIVATE = "retain-safe-private"


@dataclass(frozen=True, kw_only=True)
class SafePrivate:
    """A private element that the standard or the site vouches for (PS3.15 section E.3.10): a number, or one of a few
    terms.

    `element` is the low byte of the element number, in the block that `creator` reserved in `group`; `vr` a numeric VR
    with no `terms`, or CS, SH or LO with at least one; `multiplicity` as PS3.6 writes it (`1`, `3`, `1-n`).
    """

    creator: str
    group: int
    element: int
    vr: str
    terms: frozenset[str]
    multiplicity: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The Basic Profile as one level applies it.

    `choices` holds, for the rows of Table E.1-1 that the level file does not override, the actions of the Basic Profile
    column, strictest first; where there are several, the attribute's Type in the object's IOD decides. They apply, too,
    where an option cleans and nothing clean is left.
    """

    options: frozenset[ProfileOption]
    choices: Mapping[int, tuple[ElementAction, ...]]
    safe_private: tuple[SafePrivate, ...]
