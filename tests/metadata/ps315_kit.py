"""Levels of one option each, and an element of every row of PS3.15 Table E.1-1 with a canary in it."""

from __future__ import annotations

from functools import cache

from metadata_films import film, names, stored
from ps315_cases import ALL_COLUMNS, BASIC, ROWS, Row

from server.metadata.deidentify import deidentify
from server.metadata.elements import Element, Elements, definition, in_order, sequence_element, string_element
from server.metadata.pseudonyms import IdentityMapping
from server.model import MaskingLevel, ProfileOption
from server.policy.levels import read_level

__all__ = ["ALL_COLUMNS", "ROWS", "Row"]

CANARY = "CANARYZZ"
PARENT = 0x00081115  # ReferencedSeriesSequence, in no row
UID = "1.2.3.4.5.6.7"
_VALUES = {
    "DA": "20200229",
    "DT": "20200229235959",
    "TM": "235959",
    "AS": "047Y",
    "UI": UID,
    "IS": "4711",
    "DS": "4711.5",
}
_VALUES |= {"UR": f"https://{CANARY}.example"}
# Code strings stay only as terms that are known for the attribute.
_TERMS = {0x00100040: "F", 0x001021A0: "YES", 0x00102203: "ALTERED"}
# Without them the object is nobody's.
_OWN = frozenset({0x00080005, 0x00080016, 0x00080018, 0x00100020, 0x0020000D, 0x0020000E})
_CLEANABLE = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_TEMPLATE = """
name = "one"
description = "one option"
transactions = ["search"]
objects = []
[identifiers]
pseudonyms = {pseudonyms}
shift_dates = {shift}
[pixels]
whole_frame = "keep"
unscreened = "keep"
keep_unused_bits = true
longest_side = "as stored"
coarse_blocks = "none"
keep_markers = true
keep_machine_text = false
tell_regions = false
masked_notice = false
outline_regions = false
[pixels.regions]
text = "keep"
face = "keep"
head-surface = "keep"
body = "keep"
banner = "keep"
manual = "keep"
background = "keep"
[profile]
basic = true
{options}
[elements]
default = "X"
private = "{private}"
K = ["ReferencedSeriesSequence", "Modality", "NumericValue"{more}]
U = []
D = []
C = []
Z = []
X = []
"""


@cache
def level_of(*options: str, more: str = "") -> MaskingLevel:
    """A level with these options and no rules of its own but a few things to keep."""
    on = {option.value: option.value in options for option in ProfileOption}
    text = _TEMPLATE.format(
        pseudonyms=str("retain-uids" not in options).lower(),
        shift=str("retain-long-modified-dates" in options).lower(),
        options="\n".join(f"{option} = {str(value).lower()}" for option, value in on.items()),
        private="C" if "retain-safe-private" in options else "X",
        more=more,
    )
    return read_level("one", text.encode())


def level_under(column: str) -> MaskingLevel:
    return level_of() if column == BASIC else level_of(column)


def synthesised(row: Row) -> Element:
    """An element of this row's tag and VR whose value must not be told where the row says so."""
    if row.vr == "SQ":
        inner = {
            0x00100010: string_element(0x00100010, "PN", CANARY),
            0x00080060: string_element(0x00080060, "CS", "CT"),
        }
        return sequence_element(row.tag, [inner])
    if row.tag in _TERMS and row.vr == "CS":
        return string_element(row.tag, "CS", _TERMS[row.tag])
    if row.vr in _VALUES:
        known = definition(row.tag)
        times = int(known.multiplicity) if known is not None and known.multiplicity.isdigit() else 1
        return string_element(row.tag, row.vr, *[_VALUES[row.vr]] * times)
    if row.vr in ("OB", "OW", "UN"):
        return Element(row.tag, row.vr, CANARY.encode())
    if row.vr == "US":
        return Element(row.tag, "US", b"\x2f\x12")
    return string_element(row.tag, row.vr, f"CHEST {CANARY}" if row.vr in _CLEANABLE else CANARY)


def masked(elements: Elements, level: MaskingLevel) -> tuple[Elements, int]:
    """The masked data set and by how many days dates moved."""
    mapping = names(elements, level_name=level.name) if level.pseudonyms else IdentityMapping()
    return deidentify(elements, level, mapping, pixels_masked=False).elements, mapping.shift_days


@cache
def _base() -> Elements:
    return stored(film(SOPClassUID="1.2.840.10008.1.1", InstanceNumber=None)).elements


def through(row: Row, level: MaskingLevel, *, nested: bool) -> tuple[Element, Element | None, int]:
    """The synthesised element, what became of it at the top or in a sequence's item, and the shift of dates."""
    made = synthesised(row)
    base = _base()
    if nested:
        out, days = masked(in_order({**base, PARENT: sequence_element(PARENT, [{row.tag: made}])}.values()), level)
        items = out[PARENT].items
        assert items is not None
        return made, items[0].get(row.tag), days
    out, days = masked(in_order({**base, row.tag: made}.values()), level)
    return made, out.get(row.tag), days


def through_all(made: Elements, level: MaskingLevel, *, nested: bool) -> Elements:
    """What became of these elements, all in one data set or in one item of it."""
    base = _base()
    if nested:
        out, _ = masked(in_order({**base, PARENT: sequence_element(PARENT, [in_order(made.values())])}.values()), level)
        return (out[PARENT].items or ({},))[0]
    # The film's own elements stand in for those of its patient, study and class, which the masker needs.
    out, _ = masked(in_order({**made, **{tag: base[tag] for tag in _OWN & base.keys()}}.values()), level)
    return {tag: element for tag, element in out.items() if tag not in _OWN}
