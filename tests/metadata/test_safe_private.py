"""Retain Safe Private with the standard's own list: what its values prove stays, everything else private goes."""

from __future__ import annotations

import io
import shutil
import struct
from collections import Counter
from pathlib import Path

import pytest
from attack_films import films as attack_films
from builders import PixelFormat, chest_film, part10_bytes
from house import POLICIES, House, parts
from metadata_films import film, stored
from ps315_kit import PARENT, level_of, masked
from pydicom import dcmread
from pydicom._private_dict import private_dictionaries
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sweep_routes import screen, unsynced

from server.metadata.elements import STRING_VRS, Element, Elements, in_order, sequence_element, string_element
from server.metadata.encode import encode_elements
from server.metadata.private import safe_private
from server.model import SafePrivate
from server.model.safe_private_2026d import SAFE_PRIVATE, Listed
from server.policy.safe_private import STANDARD

CANARY = b"CANARYZZ"
FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
PLACES = {(entry.creator, entry.group, entry.element) for entry in STANDARD}
OTHERS = [row for row in SAFE_PRIVATE if row[:3] not in PLACES]
BASE = stored(film()).elements


def named(row: Listed | SafePrivate) -> str:
    return f"{row.group:04X}-{row.element:02X}-{row.creator}"


def tag_of(row: Listed | SafePrivate) -> int:
    return row.group << 16 | 0x4200 | row.element


def right(entry: SafePrivate) -> Element:
    """An element of this entry with a value that it may have."""
    number = max(int(entry.multiplicity.partition("-")[0]), 1)
    if entry.vr in FORMATS:
        value = struct.pack(f"<{number}{FORMATS[entry.vr]}", *range(3, 3 + number))
        return Element(tag_of(entry), entry.vr, value)
    text = min(entry.terms) if entry.terms else "17"
    return string_element(tag_of(entry), entry.vr, *[text] * number)


def spelled(row: Listed | SafePrivate) -> Element:
    """The same element with letters in it."""
    vr = row.vr.partition("/")[0] or "LO"
    if vr == "SQ":
        return sequence_element(tag_of(row), [in_order([string_element(0x00100010, "PN", CANARY.decode())])])
    if vr in STRING_VRS:
        return string_element(tag_of(row), vr, CANARY.decode())
    return Element(tag_of(row), vr, CANARY * 3)


def private(element: Element, creator: str, *, nested: bool = False) -> Elements:
    """What stays private of an element in the block 0x42 of a creator, at the top or in a sequence's item."""
    reservation = string_element(element.tag & 0xFFFF0000 | 0x42, "LO", creator)
    inside = in_order([reservation, element])
    made = {PARENT: sequence_element(PARENT, [inside])} if nested else inside
    out, _ = masked(in_order({**BASE, **made}.values()), level_of("retain-safe-private"))
    assert CANARY not in b"".join(encode_elements(out))
    here = (out[PARENT].items or ({},))[0] if nested else out
    return {tag: one for tag, one in here.items() if tag & 0x10000}


def test_the_table() -> None:
    assert len(SAFE_PRIVATE) == len({row[:3] for row in SAFE_PRIVATE}) == 479
    assert all(row.group % 2 and 0 <= row.element <= 0xFF for row in SAFE_PRIVATE)
    numbers = Counter(row.vr for row in SAFE_PRIVATE if row.vr in {*FORMATS, "IS", "DS"})
    assert sum(numbers.values()) == 282
    assert len(STANDARD) == 282 + 65
    assert all(entry.terms for entry in STANDARD if entry.vr == "CS")


def test_the_table_agrees_with_pydicom() -> None:
    """A second, older source of the same facts: all but two of the VRs that both know."""
    found = {row: private_dictionaries.get(row.creator, {}).get(f"{row.group:04X}xx{row.element:02X}") for row in
             SAFE_PRIVATE}  # fmt: skip
    known = {row: entry[0] for row, entry in found.items() if entry is not None}
    assert len(known) == 205
    assert {named(row) for row, vr in known.items() if vr != row.vr} == {
        "2001-55-Philips Imaging DD 001",
        "7E01-02-HOLOGIC, Inc.",
    }


@pytest.mark.parametrize("entry", STANDARD, ids=named)
def test_what_is_listed_stays_by_its_value(entry: SafePrivate) -> None:
    element, creator = right(entry), string_element(entry.group << 16 | 0x42, "LO", entry.creator)
    for nested in (False, True):
        assert private(element, entry.creator, nested=nested) == {creator.tag: creator, element.tag: element}
        assert private(spelled(entry), entry.creator, nested=nested) == {}
    assert private(element, "SOMEBODY ELSE") == {}
    assert private(element._replace(vr="UN"), entry.creator) == {}
    _, _, highest = entry.multiplicity.rpartition("-")
    if highest != "n":
        one = element.value[: struct.calcsize(FORMATS[entry.vr])] if entry.vr in FORMATS else element.value.strip()
        many = (b"" if entry.vr in FORMATS else b"\\").join(
            [one if entry.vr in FORMATS else one.split(b"\\")[0]] * (int(highest) + 1)
        )
        assert private(element._replace(value=many), entry.creator) == {}


@pytest.mark.parametrize("row", OTHERS, ids=named)
def test_what_no_value_can_prove_goes(row: Listed) -> None:
    for nested in (False, True):
        assert private(spelled(row), row.creator, nested=nested) == {}


@pytest.mark.parametrize("value", [b"19600131", b"MUSTER", b"MUSTER\0\0", b"0815", b"A1B2C3D4", b"MUST ER "])
def test_numbers_that_spell_something_go(value: bytes) -> None:
    for vr, width in (("UL", 4), ("FD", 8), ("US", 2), ("SL", 4), ("FL", 4)):
        entry = SafePrivate(creator="S", group=0x19, element=1, vr=vr, terms=frozenset(), multiplicity="1-n")
        padded = value.ljust(-(-len(value) // width) * width, b"\0")
        block = in_order([string_element(0x00190042, "LO", "S"), Element(0x00194201, vr, padded)])
        assert safe_private(block, block[0x00194201], ("",), (entry,)) is None
        plain = block[0x00194201]._replace(value=bytes(width))
        assert safe_private(block, plain, ("",), (entry,)) == plain


def test_a_M2_with_the_option_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP: blocks of listed creators full of canaries, and one right value among them, at the top and nested."""
    unsynced(monkeypatch)
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    for name in ("deidentified", "teaching"):
        path = policies / "levels" / f"{name}.toml"
        text = path.read_text("utf-8")
        text = text.replace("retain-safe-private = false", "retain-safe-private = true")
        path.write_text(text.replace('private = "X"', 'private = "C"'), "utf-8")
    (attack,) = (one for one in attack_films() if one.name == "M2")
    with House(tmp_path, seed="safe", policies=policies) as house:
        assert house.store(attack.body, part10_bytes(_diffusion())).status_code == 200
        screen(house, [])
        for user in ("researcher", "teacher"):
            told = b"".join(house.get(f"{one}/metadata", user).get_data() for one in house.instances(user))
            assert not [word for word in attack.hidden if word in told]
            assert b"QVSAFE" not in told
            assert told.count(b"SIEMENS MR HEADER") == 2
            assert told.count(b'"0019100C"') == 2
        for one in house.instances("researcher"):
            ((_, body),) = parts(house.get(one, "researcher"))
            assert not [word for word in (*attack.hidden, b"QVSAFE") if word in body]
            ds = dcmread(io.BytesIO(body))
            codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
            assert "113111" in codes
            if (0x0019, 0x100C) in ds:
                assert ds[0x0019, 0x100C].value == 1000
                assert (0x0019, 0x100D) not in ds
                assert (0x0019, 0x1027) not in ds


def _diffusion() -> Dataset:
    ds = chest_film(PixelFormat(rows=16, columns=16), study=950, patient=950, canaries=False)
    for item in (ds, Dataset()):
        block = item.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", "1000")
        block.add_new(0x0D, "CS", "QVSAFE")
        block.add_new(0x27, "FD", list(struct.unpack("<6d", b"QVSAFE-MUSTER-MAXIMA".ljust(48, b"Q"))))
        block.add_new(0x99, "LO", "QVSAFE")
    ds.AnatomicRegionSequence = DicomSequence([item])
    return ds
