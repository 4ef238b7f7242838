"""The shared words: frozen values in DICOM's and OAuth's own terms, valid from construction.

No stage owns these, every stage speaks them. Regions speak of rows and columns, never of x and y; frames count
from 1, as in DICOM PS3.3 C.7.6.6.
"""

from __future__ import annotations

from server.model.decisions import Caller, Decision, Deny, ElementRules, MaskingLevel, Permit
from server.model.exchange import Ask, AuditEvent, Randomness, Representation
from server.model.issuers import Freshness, Introspection, IssuerSettings
from server.model.kinds import ObjectKind
from server.model.lists import (
    Act,
    Action,
    ElementAction,
    IdentifierKind,
    LiftReason,
    RegionKind,
    RegionStyle,
    ReviewReason,
    ScreeningState,
)
from server.model.pictures import RenderParameters, Viewport, Window, WindowFunction
from server.model.profile import Profile, ProfileOption, SafePrivate
from server.model.records import (
    Identifier,
    InstancePath,
    InstanceRecord,
    ObjectReference,
    PatientIdentity,
    Region,
    SeriesRecord,
    StudyLabels,
    StudyRecord,
    check_uid,
)

__all__ = [
    "Act",
    "Action",
    "Ask",
    "AuditEvent",
    "Caller",
    "Decision",
    "Deny",
    "ElementAction",
    "ElementRules",
    "Freshness",
    "Identifier",
    "IdentifierKind",
    "InstancePath",
    "InstanceRecord",
    "Introspection",
    "IssuerSettings",
    "LiftReason",
    "MaskingLevel",
    "ObjectKind",
    "ObjectReference",
    "PatientIdentity",
    "Permit",
    "Profile",
    "ProfileOption",
    "Randomness",
    "Region",
    "RegionKind",
    "RegionStyle",
    "RenderParameters",
    "Representation",
    "ReviewReason",
    "SafePrivate",
    "ScreeningState",
    "SeriesRecord",
    "StudyLabels",
    "StudyRecord",
    "Viewport",
    "Window",
    "WindowFunction",
    "check_uid",
]
