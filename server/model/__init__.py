"""The shared words: frozen values in DICOM's and OAuth's own terms, valid from construction.

No stage owns these, every stage speaks them. Regions speak of rows and columns, never of x and y; frames count
from 1, as in DICOM PS3.3 C.7.6.6.
"""

from __future__ import annotations

from server.model.decisions import Caller, Circumstances, Decision, Deny, ElementRules, MaskingLevel, Permit, Shared
from server.model.exchange import Ask, AuditEvent, Randomness, Representation
from server.model.issuers import Freshness, Introspection, IssuerSettings
from server.model.kinds import ObjectKind
from server.model.lists import (
    Act,
    Action,
    Approval,
    Choice,
    ElementAction,
    IdentifierKind,
    LiftReason,
    Purpose,
    RegionKind,
    RegionStyle,
    ReviewReason,
    ScreeningState,
    StudyLabel,
    Zone,
)
from server.model.pictures import ColourSpace, RenderParameters, Viewport, Window, WindowFunction
from server.model.profile import Profile, ProfileOption, SafePrivate
from server.model.records import (
    Consent,
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
from server.model.shares import RECIPIENT, Share

__all__ = [
    "RECIPIENT",
    "Act",
    "Action",
    "Approval",
    "Ask",
    "AuditEvent",
    "Caller",
    "Choice",
    "Circumstances",
    "ColourSpace",
    "Consent",
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
    "Purpose",
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
    "Share",
    "Shared",
    "StudyLabel",
    "StudyLabels",
    "StudyRecord",
    "Viewport",
    "Window",
    "WindowFunction",
    "Zone",
    "check_uid",
]
