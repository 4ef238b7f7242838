"""The closed lists: what may be asked, how far screening has come, what is hidden and how (house rule 11)."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What a caller may ask for: PS3.18's transactions and the acts of governance. A closed list."""

    SEARCH = "search"
    RETRIEVE_METADATA = "retrieve-metadata"
    RETRIEVE_BULKDATA = "retrieve-bulkdata"
    RETRIEVE_FRAMES = "retrieve-frames"
    RETRIEVE_INSTANCE = "retrieve-instance"
    RETRIEVE_RENDERED = "retrieve-rendered"
    RETRIEVE_THUMBNAIL = "retrieve-thumbnail"
    STORE = "store"
    LABEL = "label"
    READ_AUDIT = "read-audit"


class ScreeningState(StrEnum):
    """How far text detection has come with an instance. Everything but `SCREENED` counts as sensitive everywhere."""

    PENDING = "pending"
    SCREENED = "screened"
    FAILED = "failed"


class RegionKind(StrEnum):
    """What a region hides. A closed list; every masking level names a style for every kind."""

    TEXT = "text"
    FACE = "face"
    HEAD_SURFACE = "head-surface"
    BODY = "body"
    BANNER = "banner"
    MANUAL = "manual"


class RegionStyle(StrEnum):
    """What a masking level does with the samples of a region."""

    KEEP = "keep"
    MOSAIC = "mosaic"
    FILL = "fill"


class ElementAction(StrEnum):
    """PS3.15 Table E.1-1a action codes: what a masking level does with an attribute."""

    DUMMY = "D"
    ZERO = "Z"
    REMOVE = "X"
    KEEP = "K"
    CLEAN = "C"
    UID = "U"


class IdentifierKind(StrEnum):
    """The name spaces in which a value identifies something; equal text of two kinds is two identifiers."""

    UID = "uid"
    PATIENT = "patient"
    ACCESSION = "accession"
    LOCAL = "local"
