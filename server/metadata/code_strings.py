"""Which values of VR CS a level may repeat: terms of the standard, and words that nobody is called by.

A code string takes any 16 capital letters, so SMITH fits Body Part Examined as well as CHEST does. What passes is a
term that PS3.3 lists for the attribute, a term of devices that is listed here, or words that the cleaner of texts
leaves as they are: it knows this object's own names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from server.metadata.terms import TERMS
from server.metadata.values import capped

_IMAGE_TYPE, _FRAME_TYPE = 0x00080008, 0x00089007
# Combinations of A, P, R, L, H, F (PS3.3 section C.7.6.1.1.1), and PS3.16's identifiers of templates and groups.
_PATTERNS: Mapping[int, re.Pattern[str]] = {
    0x00200020: re.compile(r"(?!.*(.).*\1)[APRLHF]{1,3}"),
    0x00200062: re.compile(r"[LRUB]"),
    0x0040DB00: re.compile(r"[0-9]{1,5}[A-Z]?", re.ASCII),
}
# PS3.16 annex L, and regions written together as scanners do.
_BODY_PARTS = (
    "ABDOMEN|ABDOMENPELVIS|ADRENAL|ANKLE|ANUS|AORTA|ARM|ARTERY|AXILLA|BACK|BLADDER|BRAIN|BREAST|BRONCHUS|BUTTOCK"
    "|CALCANEUS|CALF|CAROTID|CEREBELLUM|CERVIX|CHEEK|CHEST|CHESTABDOMEN|CHESTABDPELVIS|CIRCLEOFWILLIS|CLAVICLE|COCCYX"
    "|COLON|CORNEA|CORONARYARTERY|CSPINE|CTSPINE|DUODENUM|EAR|ELBOW|ESOPHAGUS|EXTREMITY|EYE|EYELID|FACE|FEMUR|FINGER"
    "|FOOT|FOREARM|GALLBLADDER|HAND|HEAD|HEADNECK|HEART|HIP|HUMERUS|IAC|ILEUM|ILIUM|JAW|JEJUNUM|KIDNEY|KNEE|LARYNX"
    "|LEG|LIVER|LSPINE|LSSPINE|LUNG|MAXILLA|MEDIASTINUM|MOUTH|NECK|NECKCHEST|NECKCHESTABDOMEN|NECKCHESTABDPELV|NOSE"
    "|ORBIT|OVARY|PANCREAS|PAROTID|PATELLA|PELVIS|PENIS|PHARYNX|PROSTATE|RADIUS|RECTUM|RIB|SCALP|SCAPULA|SCLERA|SCROTUM"
    "|SHOULDER|SKULL|SPINE|SPLEEN|SSPINE|STERNUM|STOMACH|SUBMANDIBULAR|TESTIS|THIGH|THUMB|THYMUS|THYROID|TIBIA|TLSPINE"
    "|TMJ|TOE|TONGUE|TRACHEA|TSPINE|ULNA|URETER|URETHRA|UTERUS|VAGINA|VULVA|WHOLEBODY|WRIST|ZYGOMA"
)
# Terms of which the descriptions give no list, and what scanners write where implementations may add terms.
_MORE: Mapping[int, str] = {
    0x00180015: _BODY_PARTS,
    0x00180022: (
        "ACC_GEMS|AXIAL MODE|CARDIAC|EDR_GEMS|FAST_GEMS|FILTERED_GEMS|FS|HELICAL MODE|HELIX|HP|IR|MP_GEMS|NPW"
        "|SAT1|SAT2|SAT3|SAT4|SAT_GEMS|SCOUT MODE|SEQUENCE|SPIRAL|SURVIEW|T2FLAIR|TOPOGRAM|TRF_GEMS|VASCTOF_GEMS|WE"
    ),
    0x00089206: "VOLUME|SAMPLED|DISTORTED|MIXED",
    0x00089207: "MAX_IP|MIN_IP|VOLUME_RENDER|SURFACE_RENDER|MPR|CURVED_MPR|NONE|MIXED|AVERAGE_IP",
    0x00089208: "MAGNITUDE|PHASE|REAL|IMAGINARY|MIXED",
    0x00089209: (
        "DIFFUSION|FLOW_ENCODED|FLUID_ATTENUATED|PERFUSION|PROTON_DENSITY|STIR|TAGGING|T1|T2|T2_STAR|TOF|UNKNOWN|MIXED"
        "|ARTERIAL_SPIN_LABELING"
    ),
    0x00185101: "AP|PA|LL|RL|RLD|LLD|RLO|LLO|CC|MLO|ML|LM|LMO|XCC|XCCL|XCCM|FB|SIO|LAT|LATERAL|OBL|OBLIQUE|AXIAL",
}
_DEVICES = (
    "2D|3D|ADC|ADC_UNSPECIFIED|ADD|AVERAGE|B0|BVALUE|CBF|CBV|MTT|TTP|RCBF|RCBV"
    "|COMPRESSED|CSA 3D EDITOR|CSA MIP|CSA MPR|CSA MPRTHICK|CSAPARALLEL"
    "|CT_SOM5 PROT|CT_SOM5 SEQ|CT_SOM5 SPI|CT_SOM5 TOP|CT_SOM7 SPI|DIFFUSION|DIS2D|DIS3D|DISTORTED|EADC|EPI|FA|FFE"
    "|FILTERED|FM|FMRI|GDC|GRID|I|IR|IVI|LOCALIZER|M|M_FFE|M_IR|M_SE|MAGNITUDE|MAXIMUM|MEAN|MIN IP|MIP|MNIP|MOCO|MOSAIC"
    "|MPR|MSUM|ND|NONE|NORM|ORIGINAL|OTHER|P|PARALLEL|PCA|PHASE|PHASE MAP|PHASE_FFE|POST_PROCESSED|POSDISP|PROCESSED"
    "|PRIMARY|PROJECTION IMAGE|R|REFORMATTED|RESAMPLED|REAL|RT|SCREEN SAVE|SE|SECONDARY|SFD|SINGLE PLANE|SUB|SUM|SWI|T1"
    "|T1 MAP|T2|T2 MAP|T2_STAR|TOF|TRACEW|TSE|UNSPECIFIED|VOLUME|W|WATER|FAT|IN_PHASE|OUT_PHASE|OPP_PHASE|FIELD_MAP"
)
# Of ultrasound, the modes as bits (PS3.3 section C.8.5.6.1.1).
_MODES = re.compile(r"0[0-9A-F]{3}", re.ASCII)
Cleaner = Callable[[str, str], str | None]
"""What may be said of one value of a text, given with a VR; None when nothing."""


@cache
def terms(tag: int) -> frozenset[str]:
    """The terms that are listed for an attribute."""
    listed = "|".join((TERMS.get(tag, ""), _MORE.get(tag, "")))
    if tag in (_IMAGE_TYPE, _FRAME_TYPE):
        listed = "|".join((TERMS[_IMAGE_TYPE], TERMS.get(_FRAME_TYPE, ""), _DEVICES, *_MORE.values()))
    if tag == 0x00080061:
        listed = TERMS[0x00080060]
    return frozenset(filter(None, listed.split("|")))


def known(tag: int, value: str, cleaner: Cleaner) -> bool:
    """Whether a valid, not empty CS `value` of the attribute may be repeated; `cleaner` is that of the object."""
    if value in terms(tag) or (tag == _IMAGE_TYPE and _MODES.fullmatch(value)):
        return True
    pattern = _PATTERNS.get(tag)
    if pattern is not None:
        return pattern.fullmatch(value) is not None
    words = value.replace("_", " ")
    return cleaner(words, "LO") == " ".join(words.split())


def said_by_nobody(tag: int, vr: str, values: list[str], cleaner: Cleaner) -> list[str]:
    """Valid values as a profile lets them pass: no code string that is not known, no age over 89.

    What is not known leaves its place among the values empty, since their places have meanings.
    """
    if vr == "AS":
        return [capped(value) for value in values]
    if vr != "CS":
        return values
    return [value if value and known(tag, value, cleaner) else "" for value in values]
