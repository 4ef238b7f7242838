"""What one line of text is, by its words alone: a closed vocabulary of views, sides and technique, and nothing else.

Views and sides are those of View Position, Image Laterality (PS3.3) and the views of PS3.16 CID 4010 and 4014, with the
words that radiographers' lead markers carry; units those of PS3.16 CID 82 that scanners print; labels are DICOM's
attributes of technique (KVP, Exposure, Echo Time, windows, numbers of series and frames), the output indices
of IEC 60601-2-37 with the values these can have, names of transducers, and measurements of PS3.16 TID 5000 and 5200.

Numbers alone, and numbers that could be dates, times, ages or parts of an identifier, are never technique. What could
be initials, a surname or a room is so only in the company of lines that could not (`WEAK`).
"""

from __future__ import annotations

import re

MARKER, TECHNIQUE, WEAK = "marker", "technique", "weak"

# Words of lead and stuck-on markers. Short ones say what they say only alone: "R PA" could be a name.
_SHORT = frozenset({"L", "R", "LT", "RT", "AP", "PA", "LAT", "OBL", "RAO", "LAO", "RPO", "LPO", "LLD", "RLD", "CC",
    "MLO", "RCC", "LCC", "RMLO", "LMLO", "RML", "LML", "RLM", "LLM"})  # fmt: skip
_LONG = frozenset({"LEFT", "RIGHT", "LATERAL", "OBLIQUE", "DECUB", "DECUBITUS", "ERECT", "SUPINE", "PRONE", "UPRIGHT",
    "STANDING", "SITTING", "PORTABLE", "SEMI", "SEMIUPRIGHT", "SEMIERECT", "SEMISUPINE", "MOBILE", "RECUMBENT",
    "INSPIRATION", "EXPIRATION", "WEIGHTBEARING", "WEIGHT", "BEARING"})  # fmt: skip
_WORDS = _SHORT | _LONG
# The two words of a mammographic view (PS3.16 CID 4014), of which neither is a name.
_PAIRS = frozenset({"L CC", "R CC", "L MLO", "R MLO"})
# Parts of the body and kinds of examination that a title names (PS3.16 CID 4 and Annex L), none of them a surname.
_TITLES = frozenset({"ABDOMEN", "ABDOMINAL", "ADULT", "ANKLE", "AORTA", "BLADDER", "BREAST", "CARDIAC", "CAROTID",
    "CERVICAL", "CHEST", "CLAVICLE", "CRANIUM", "ECHO", "ELBOW", "FEMUR", "FETAL", "FOREARM", "GALLBLADDER",
    "HUMERUS", "KIDNEY", "KNEE", "LIVER", "LUMBAR", "LYMPH", "MUSCULOSKELETAL", "NODE", "OBSTETRIC", "PANCREAS",
    "PEDIATRIC", "PELVIS", "PROSTATE", "RENAL", "RIBS", "SACRUM", "SCROTUM", "SHOULDER", "SKULL", "SPINE", "SPLEEN",
    "STERNUM", "TESTIS", "THORACIC", "THORAX", "THYROID", "TIBIA", "TRANSVAGINAL", "UTERUS", "VASCULAR", "VENOUS",
    "WRIST"})  # fmt: skip
# What a preset's name puts before one of them.
_PRESETS = frozenset({"ADV", "GEN"})
# What is a kind of examination only behind such a name: obstetrics, gynaecology, and so on.
_AFTER = frozenset({"OB", "GYN", "ABD", "MSK", "VASC"})
_SMALL = r"\d{1,2}(?:\.\d{1,2})?"
_NUMBER = r"\d{1,3}(?:\.\d{1,2})?"
_MEASURE = (
    # A value that is not known yet is stars.
    rf"(?:{_NUMBER}|\*{{2,3}}) ?(?:k?Hz|MHz|mm|mm/s|cm/s|m/s|dB|%|fps|bpm|mAs|mGy|kVp?|KVP?|MAS|mA|ms|mmHg)"
    # A body is measured in centimetres, too.
    rf"|[0-3]?\d(?:\.\d{{1,2}})? ?cm(?:²|³|2|3)?|{_SMALL} ?[xX]"
)
_INDEX = r"TI[SBC]? ?[<=]? ?[0-6]\.\d|MI ?[<=]? ?[01]\.\d{1,2}|A[O0] ?= ?\d{1,3} ?%"
_OF = r"\d{1,3}(?:/\d{1,3})?"
_LABELLED = (
    rf"(?:Gn|Gain|GAIN) ?:? ?{_SMALL}|Dyn ?R? ?:? ?{_SMALL}|(?:Zoom|Mag|ZOOM|MAG) ?:? ?{_SMALL} ?[xX]?"
    rf"|(?:Se|[Il]m|Fr) ?#? ?: ?{_OF}|(?:SE|IM|FR|IMG|Se|Im)# ?:? ?{_OF}"
    r"|W ?: ?\d{1,5},? ?L ?: ?-?\d{1,5}|W[WL] ?: ?\d{1,4}"
    rf"|(?:kVp?|KVP?|mAs?|MAS|TE|TR|FOV|ST|SL|FA|NEX|PRF|WF) ?[:=] ?{_NUMBER}(?: ?(?:mm|ms|kV|mAs?|Hz|°))?"
    rf"|Unit ?: ?{_SMALL} ?[cm]m|Fit"
)
_NAMES = r"H(?:Gen|Pen|Res)|[234]D|[xX][1-9]"
# Abbreviated names of measurements: technique only with a number and its unit behind them.
_QUANTITIES = (
    r"(?:(?:Asc|Desc|Ao|Diam|Index|Cist|Mag|Dist|Area|Vol|Circ|Vmax|Vmean|PG|VTI|LVOT|IVSd|LVIDd|LVIDs|LVPWd|BPD|CRL"
    r"|HC|AC|FL|Depth|Length|Width|Height) ?){1,4}"
)
_PART = re.compile(_QUANTITIES)
_MEASURED = rf"{_QUANTITIES}{_NUMBER} ?(?:mm|cm|cm/s|m/s|mmHg|%|ml)|{_QUANTITIES}(?<=Index )(?:{_SMALL})"
_ONE = rf"(?:{_MEASURE}|{_INDEX}|{_LABELLED}|{_NAMES}|{_MEASURED})"
_TECHNIQUE = re.compile(rf"[+×]? ?{_ONE}(?:[ ,;/]{{0,2}}{_ONE})*")
_TRANSDUCER = re.compile(r"[CLSPXV](\d{1,2})-(\d{1,2})")
_WEAK = re.compile(r"Res|Gen|Pen|RS|P ?(?:Low|Med|High)|TAC ?\d|[CG] ?\d{1,2}|M[1-5]|PWR|CINE")
# The frequency that is sent and the one that is heard, in MHz.
_HARMONIC = re.compile(r"(\d\.\d) (\d\.\d)")


def kind_of(text: str) -> str:
    """`MARKER`, `TECHNIQUE`, `WEAK` (technique, if it stands among lines of technique) or "" for a line as it was read.

    A reading loses spaces, so that none is needed where two elements cannot be one.
    """
    line = re.sub(r"\s+", " ", text).strip()
    if _marker(line.strip("-").upper()):
        return MARKER
    # The marks of a ruler and the line under a heading read as these.
    if _TECHNIQUE.fullmatch(line.strip(" -–⁻_.,")) or _transducer(line) or _title(line.upper()):
        return TECHNIQUE
    return WEAK if _WEAK.fullmatch(line) or _harmonic(line) else ""


def begins(text: str) -> bool:
    """Whether a line says nothing but what was measured, so that the value is still to come."""
    return _PART.fullmatch(text) is not None


def _marker(line: str) -> bool:
    if line in _WORDS or line in _PAIRS:
        return True
    words = re.split(r"[ -]", line)
    if 1 < len(words) <= 3 and all(word in _WORDS for word in words):
        # Two short ones could be an initial and a name; beside a long one they cannot.
        return any(word in _LONG for word in words) and sum(word in _SHORT for word in words) <= 1
    return any(line[:cut] in _WORDS and line[cut:] in _LONG for cut in range(1, len(line)))


def _transducer(line: str) -> bool:
    """The letter of a shape and the band in MHz, the higher end first."""
    match = _TRANSDUCER.fullmatch(line)
    return match is not None and 22 >= int(match[1]) > int(match[2]) >= 1


def _harmonic(line: str) -> bool:
    """Two frequencies, the second twice the first."""
    match = _HARMONIC.fullmatch(line)
    return match is not None and float(match[1]) > 0 and round(10 * float(match[2])) == round(20 * float(match[1]))


def _title(line: str) -> bool:
    words = line.split(" ")
    if len(words) > 1 and words[0] in _PRESETS:
        words = words[1:]
        if len(words) == 1 and words[0] in _AFTER:
            return True
    # A reading loses the space between two.
    pair = any(line[:cut] in _TITLES and line[cut:] in _TITLES for cut in range(3, len(line) - 2))
    return pair or (len(words) <= 3 and all(word in _TITLES for word in words))
