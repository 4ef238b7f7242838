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
    READ_QUEUE = "read-queue"
    SETTLE = "settle"
    READ_STATUS = "read-status"
    RECORD_CONSENT = "record-consent"
    APPROVE_PROJECT = "approve-project"
    BREAK_GLASS = "break-glass"
    REVIEW_GLASS = "review-glass"
    SHARE = "share"
    ACCEPT_SHARE = "accept-share"
    READ_SHARES = "read-shares"
    END_SHARE = "end-share"


class Act(StrEnum):
    """What the journal calls a request that is no transaction, so that no policy decides about it. A closed list."""

    SIGN_IN = "sign-in"
    CHOOSE_ROLE = "choose-role"
    GOVERN = "govern"
    SIGN_OUT = "sign-out"
    DESCRIBE = "describe"
    UNROUTED = "unrouted"


class StudyLabel(StrEnum):
    """What a named role may say of a study, so that the rules can hold it more closely. A closed list."""

    VIP = "vip"
    STAFF = "staff"
    MINOR = "minor"
    SENSITIVE_BODY_PART = "sensitive-body-part"
    LEGAL_CASE = "legal-case"


class Choice(StrEnum):
    """What a patient said to a use of their films (FHIR Consent, IHE BPPC: opt-in and opt-out)."""

    UNSAID = "unsaid"
    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"


class Approval(StrEnum):
    """Where a project stands: nobody entered it, it is approved today, or its end date is past."""

    UNLISTED = "unlisted"
    APPROVED = "approved"
    ENDED = "ended"


class Zone(StrEnum):
    """From which part of the network a request came, by the settings' list of networks."""

    CLINICAL = "clinical"
    HOSPITAL = "hospital"
    OUTSIDE = "outside"
    UNKNOWN = "unknown"


class Purpose(StrEnum):
    """Purposes of use that the rules can name (HL7 v3 code system ActReason, value set PurposeOfUse).

    UNKNOWN is no code of HL7's: it stands for every code that is not listed here.
    """

    TREAT = "TREAT"
    ETREAT = "ETREAT"
    BTG = "BTG"
    COC = "COC"
    CAREMGT = "CAREMGT"
    HRESCH = "HRESCH"
    BIORCH = "BIORCH"
    CLINTRCH = "CLINTRCH"
    HPAYMT = "HPAYMT"
    HOPERAT = "HOPERAT"
    HQUALIMP = "HQUALIMP"
    HLEGAL = "HLEGAL"
    PATADMIN = "PATADMIN"
    PATSFTY = "PATSFTY"
    RECORDMGT = "RECORDMGT"
    HSYSADMIN = "HSYSADMIN"
    TRAIN = "TRAIN"
    PATRQT = "PATRQT"
    FAMRQT = "FAMRQT"
    PWATRNY = "PWATRNY"
    SUPNWK = "SUPNWK"
    PUBHLTH = "PUBHLTH"
    HMARKT = "HMARKT"
    UNKNOWN = "unknown"


class ScreeningState(StrEnum):
    """How far text detection has come with an instance. Everything but `SCREENED` counts as sensitive everywhere."""

    PENDING = "pending"
    SCREENED = "screened"
    FAILED = "failed"
    IN_REVIEW = "in review"


class ReviewReason(StrEnum):
    """Why a film waits for a person, who alone can end that. A closed list: no word of any film ever stands here."""

    UNCERTAIN = "uncertain"
    WHOLE_FRAME_RULE = "whole-frame-rule"
    HEAD_WITHOUT_FACE = "head-without-face"
    RESIDUAL_TEXT = "residual-text"
    TOO_LARGE = "too-large"
    OUT_OF_MEMORY = "out-of-memory"
    TIMED_OUT = "timed-out"
    DETECTOR_ENDED = "detector-ended"
    DETECTOR_FAILED = "detector-failed"
    DETECTOR_NONSENSE = "detector-nonsense"
    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    SEAL_BROKEN = "seal-broken"
    UNKNOWN = "unknown"


class LiftReason(StrEnum):
    """Why a person lifts a region that a detector has found. A closed list."""

    ANATOMY = "anatomy"
    ARTEFACT = "artefact"
    MARKER = "marker"
    MACHINE_TEXT = "machine-text"


class RegionKind(StrEnum):
    """What a region hides. A closed list; every masking level names a style for every kind.

    BACKGROUND is where nothing is shown: what is hidden there is what is too faint to be found.
    """

    TEXT = "text"
    FACE = "face"
    HEAD_SURFACE = "head-surface"
    BODY = "body"
    BANNER = "banner"
    MANUAL = "manual"
    BACKGROUND = "background"


class RegionStyle(StrEnum):
    """What a masking level does with the samples of a region, or of a whole frame.

    FLATTEN, of the background alone, makes each region one value. COARSE makes of the frame, after everything else is
    hidden, a mosaic of a few blocks; BLANK_FRAME fills every frame that shows such a region from edge to edge.
    """

    KEEP = "keep"
    FLATTEN = "flatten"
    COARSE = "coarse"
    MOSAIC = "mosaic"
    FILL = "fill"
    BLANK_FRAME = "blank-frame"


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
