"""Level files: complete, closed, safe; and the shipped ones, attribute by attribute."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from policy_helpers import shipped, shipped_files
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from server.model import Action, ElementAction, MaskingLevel, RegionKind, RegionStyle
from server.policy.levels import read_level
from server.policy.safety import _PIXEL_CARRIERS
from server.policy.words import BundleProblems

LEVELS = ("original", "patient", "deidentified", "teaching", "front-desk", "review")
OBJECTS = {Action.RETRIEVE_INSTANCE, Action.RETRIEVE_FRAMES, Action.RETRIEVE_BULKDATA}
SINGLE_LINES = re.findall(r"^[\w-]+ = .*[^\[\n]$", shipped_files()["levels/original.toml"].decode(), re.MULTILINE)


def text(name: str) -> str:
    return shipped_files()[f"levels/{name}.toml"].decode()


def action_of(name: str, keyword: str) -> ElementAction:
    rules = shipped().levels[name].elements
    return rules.by_tag.get(tag_for_keyword(keyword) or 0, rules.default)


def refused(name: str, *pairs: tuple[str, str]) -> str:
    changed = text(name)
    for old, new in pairs:
        assert old in changed, old
        changed = changed.replace(old, new, 1)
    with pytest.raises(BundleProblems) as caught:
        read_level(name, changed.encode(), (), {"deidentified": text("deidentified").encode()})
    assert all(problem.startswith(f"levels/{name}.toml") for problem in caught.value.problems)
    return str(caught.value)


def test_the_switches_are_found_by_the_test() -> None:
    assert len(SINGLE_LINES) == 42


@pytest.mark.parametrize("line", SINGLE_LINES)
def test_every_switch_has_to_be_there(line: str) -> None:
    assert f"`{line.split(maxsplit=1)[0]}`" in refused("original", (f"{line}\n", ""))


@pytest.mark.parametrize("line", SINGLE_LINES)
def test_every_switch_has_a_closed_set_of_values(line: str) -> None:
    key = line.split(maxsplit=1)[0]
    for value in ('"maybe"', "7.5", "[[]]", '""'):
        if key != "description" or not value.startswith('"m'):
            refused("original", (line, f"{key} = {value}"))


@pytest.mark.parametrize(
    "line", ["name =", "[identifiers]\n", "whole_frame =", "[pixels.regions] ", "[elements]\n"], ids=str.strip
)
def test_an_unknown_switch_is_refused(line: str) -> None:
    ends = text("original").index(line)
    ends = text("original").index("\n", ends) + 1
    with pytest.raises(BundleProblems, match="unknown key `unmask`"):
        read_level("original", f"{text('original')[:ends]}unmask = true\n{text('original')[ends:]}".encode())


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ('K = ["PatientNmae"]', "`PatientNmae`"),
        ('K = ["patientname"]', "`patientname`"),
        ('K = ["(0010,10)"]', "`(0010,10)`"),
        ('K = ["(0011,1001)"]', "`(0011,1001)`"),
        ('K = ["(0010,0000)"]', "`(0010,0000)`"),
        ('K = ["(0002,0010)"]', "`(0002,0010)`"),
        ('K = ["TransferSyntaxUID"]', "`TransferSyntaxUID`"),
        ('K = [" (0010,0010)"]', "` (0010,0010)`"),
        ('K = ["（0010,0010）"]', "neither"),
        ('K = ["PatientName", "PatientName"]', "twice"),
        ('K = ["PatientName", "(0010,0010)"]', "twice"),
        ('K = ["PatientName"]\nKK = []', "`KK`"),
        ("K = [1]", "not a string"),
        ('K = ["PixelData"]', "[pixels]"),
    ],
)
def test_attributes_that_are_not_taken(new: str, problem: str) -> None:
    assert problem in refused("original", ("K = []", new))


def test_an_attribute_in_two_lists_is_refused() -> None:
    pairs = (("K = []", 'K = ["PatientName"]'), ("X = []", 'X = ["(0010,0010)"]'))
    assert "`PatientName` is listed twice" in refused("original", *pairs)


def test_tags_may_be_written_in_numbers() -> None:
    level = read_level("original", text("original").replace("X = []", 'X = ["(0010,0010)", "(0018,9abc)"]').encode())
    assert level.elements.by_tag == {0x00100010: ElementAction.REMOVE, 0x00189ABC: ElementAction.REMOVE}


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("front-desk", '"retrieve-rendered",', '"retrieve-rendered", "retrieve-instance",', "original SOP Instance"),
        ("front-desk", '"retrieve-rendered",', '"retrieve-rendered", "retrieve-frames",', "original SOP Instance"),
        ("front-desk", '"retrieve-rendered",', '"retrieve-rendered", "retrieve-bulkdata",', "original SOP Instance"),
        ("patient", "keep_unused_bits = true", "keep_unused_bits = false", "original SOP Instance"),
        ("patient", 'text = "keep"', 'text = "fill"', "masked too"),
        ("original", 'unscreened = "keep"', 'unscreened = "mosaic"', "masked too"),
        ("deidentified", 'unscreened = "mosaic"', 'unscreened = "keep"', "masked too"),
        ("deidentified", 'face = "mosaic"', 'face = "keep"', "masked too"),
        ("deidentified", "keep_unused_bits = false", "keep_unused_bits = true", "unused bits"),
        ("deidentified", 'default = "X"', 'default = "K"', "overlays and icons"),
        ("deidentified", 'unscreened = "mosaic"', 'unscreened = "coarse"', "shows unscreened frames coarsely"),
        ("deidentified", 'body = "mosaic"', 'body = "coarse"', "does not say of how many blocks"),
        ("deidentified", 'coarse_blocks = "none"', "coarse_blocks = 65", "coarse_blocks"),
        ("deidentified", "K = [\n", 'K = [\n"RedPaletteColorLookupTableData",', "`RedPaletteColorLookupTableData`"),
        ("deidentified", 'default = "X"', 'default = "Z"', "`default` is K or X"),
        ("deidentified", 'private = "X"', 'private = "K"', "`private` is X"),
        ("deidentified", "pseudonyms = true", "pseudonyms = false", "original SOP Instance"),
        ("deidentified", "pseudonyms = true", "pseudonyms = false", "per project"),
        ("deidentified", "K = [\n", 'K = [\n"(601E,3000)",', "`OverlayData`"),
        ("deidentified", "K = [\n", 'K = [\n"(5000,3000)",', "`CurveData`"),
        ("deidentified", "K = [\n", 'K = [\n"EncapsulatedDocument",', "EncapsulatedDocument"),
        ("deidentified", "K = [\n", 'K = [\n"EvaluatorName",', "a person's name"),
        ("deidentified", "K = [\n", 'K = [\n"ExpiryDate",', "unshifted"),
        ("deidentified", "K = [\n", 'K = [\n"AlarmDecisionTime",', "unshifted"),
        ("deidentified", "K = [\n", 'K = [\n"TargetFrameOfReferenceUID",', "UID of something original"),
        ("deidentified", "K = [\n", 'K = [\n"PersonName",', "`PersonName` is K, milder than the profile's D"),
        ("deidentified", "K = [\n", 'K = [\n"DateOfSecondaryCapture",', "milder than the profile's C"),
        ("deidentified", "K = [\n", 'K = [\n"TargetUID",', "milder than the profile's U"),
        ("deidentified", "K = [\n", 'K = [\n"InstitutionName",', "milder than the profile's X"),
        ("deidentified", "C = [", 'C = ["OperatorsName", ', "milder than the profile's X"),
        ("deidentified", "D = [", 'D = ["OperatorsName", ', "milder than the profile's X"),
        ("deidentified", "Z = [", 'Z = ["PatientAddress"', "milder than the profile's X"),
        ("deidentified", "X = [", 'X = ["StudyInstanceUID", ', "`StudyInstanceUID`"),
        ("deidentified", "shift_dates = true", "shift_dates = false", "have to say the same"),
        ("deidentified", "-full-dates = false", "-full-dates = true", "only one can be"),
        ("deidentified", "retain-uids = false", "retain-uids = true", "either pseudonyms or `retain-uids`"),
        ("deidentified", "safe-private = false", "safe-private = true", "`private` is C exactly"),
        ("deidentified", 'private = "X"', 'private = "C"', "`private` is C exactly"),
        ("front-desk", 'private = "X"', 'private = "C"', "`private` is X"),
        ("deidentified", "clean-pixel-data = true", "clean-pixel-data = false", "says what [pixels] does"),
        ("deidentified", 'banner = "mosaic"', 'banner = "keep"', "says what [pixels] does"),
        ("deidentified", "K = [\n", 'K = [\n"(6000,3000)",', "milder than the profile"),
        ("deidentified", "objects = [", 'objects = ["document", ', "into which no masker looks"),
        ("original", "objects = [", 'objects = ["video", ', "nobody decodes"),
        ("original", "objects = [", 'objects = ["film", ', "`film`"),
        ("deidentified", "basic = true", "basic = false", "options without `basic`"),
        ("original", "basic = false", "basic = true", "`default` has to be X"),
        ("deidentified", "K = [\n", 'K = [\n"(0018,9abc)",', "not in the data dictionary"),
        ("deidentified", "U = [\n", 'U = [\n"TimezoneOffsetFromUTC",', "listed twice"),
        ("deidentified", "U = [\n", 'U = [\n"SoftwareVersions",', "U is for UIDs"),
        ("deidentified", "Z = [", 'Z = ["RequestedProcedureCodeSequence",', "is a sequence"),
        ("patient", '"SOPInstanceUID",', "", "`SOPInstanceUID`"),
        ("original", 'name = "original"', 'name = "patient"', "the name of the file"),
        ("original", "transactions = [", 'transactions = [ "store",', "nothing else"),
        ("original", "transactions = [", 'transactions = [ "download",', "`download`"),
        ("teaching", "longest_side = 1024", "longest_side = 0", "longest_side"),
        ("teaching", "longest_side = 1024", "longest_side = 65536", "longest_side"),
        ("teaching", "longest_side = 1024", "longest_side = true", "longest_side"),
    ],
)
def test_levels_that_would_let_out_what_they_hide(name: str, old: str, new: str, problem: str) -> None:
    assert problem in refused(name, (old, new))


def test_no_transactions_is_no_level() -> None:
    emptied = re.sub(r"transactions = \[.*?\]", "transactions = []", text("original"), flags=re.DOTALL)
    with pytest.raises(BundleProblems, match="at least one"):
        read_level("original", emptied.encode())


@pytest.mark.parametrize("name", ["Original", "a b", "-a", "a-", "ö", ""])
def test_names_that_are_not_taken(name: str) -> None:
    with pytest.raises(BundleProblems, match="lower-case"):
        read_level(name, text("original").replace('"original"', f'"{name}"').encode())


@pytest.mark.parametrize("content", [b"\xff", b"name = ", b"[" * 20000])
def test_what_is_not_toml_is_refused(content: bytes) -> None:
    with pytest.raises(BundleProblems, match="TOML"):
        read_level("original", content)


def test_every_problem_is_told_at_once() -> None:
    problems = refused("original", ("K = []", 'K = ["Nobody"]'), ("shift_dates = false\n", ""), ("X = []", ""))
    assert all(word in problems for word in ("`Nobody`", "`shift_dates`", "`X`"))


def test_the_fingerprint_speaks_of_what_a_level_does() -> None:
    level = shipped().levels["deidentified"]
    assert re.fullmatch("[0-9a-f]{64}", level.fingerprint)
    same = read_level("deidentified", b"# a comment\n" + text("deidentified").encode())
    assert same == level
    for old, new in (('face = "mosaic"', 'face = "fill"'), ('"KVP", ', ""), ('"search",\n', "")):
        assert (
            read_level("deidentified", text("deidentified").replace(old, new).encode()).fingerprint != level.fingerprint
        )


def test_levels_cannot_be_changed() -> None:
    level = shipped().levels["deidentified"]
    with pytest.raises(TypeError):
        level.elements.by_tag[0x00100010] = ElementAction.KEEP  # type: ignore[index]
    with pytest.raises(TypeError):
        level.regions[RegionKind.TEXT] = RegionStyle.KEEP  # type: ignore[index]


def test_the_carriers_of_pixels_are_real_attributes() -> None:
    assert 0 not in _PIXEL_CARRIERS


def test_the_shipped_levels_are_these() -> None:
    assert tuple(sorted(shipped().levels)) == tuple(sorted(LEVELS))
    for name in LEVELS:
        assert shipped().levels[name].name == name


def test_original_does_nothing() -> None:
    level = shipped().levels["original"]
    assert not level.alters_samples
    assert (level.elements.default, level.elements.private, level.elements.by_tag) == ("K", "K", {})
    assert (level.pseudonyms, level.shift_dates, level.longest_side) == (False, False, None)


def test_teaching_is_deidentified_to_look_at() -> None:
    teaching, deidentified = shipped().levels["teaching"], shipped().levels["deidentified"]
    assert teaching.elements == deidentified.elements
    assert teaching.transactions == deidentified.transactions - OBJECTS
    assert teaching.longest_side == 1024


@pytest.mark.parametrize("name", ["deidentified", "teaching", "front-desk"])
def test_masked_levels_mask_every_region_and_every_unscreened_frame(name: str) -> None:
    level = shipped().levels[name]
    shown = {style for kind, style in level.regions.items() if kind is not RegionKind.BACKGROUND}
    assert {*shown, level.unscreened} == {RegionStyle.MOSAIC}
    assert level.regions[RegionKind.BACKGROUND] is RegionStyle.FLATTEN
    assert not level.keep_unused_bits
    assert level.elements.default is level.elements.private is ElementAction.REMOVE


def test_front_desk_shows_who_and_not_what() -> None:
    level = shipped().levels["front-desk"]
    assert level.whole_frame is RegionStyle.MOSAIC
    assert not level.transactions & OBJECTS
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyDate", "StudyInstanceUID"):
        assert action_of("front-desk", keyword) is ElementAction.KEEP
    for keyword in ("StudyDescription", "BodyPartExamined", "ViewPosition", "AdmittingDiagnosesDescription"):
        assert action_of("front-desk", keyword) is ElementAction.REMOVE


def test_patient_keeps_the_own_identity_and_no_staff() -> None:
    assert not shipped().levels["patient"].alters_samples
    for keyword in ("PatientName", "PatientID", "StudyDescription", "SeriesDescription", "Rows", "SOPInstanceUID"):
        assert action_of("patient", keyword) is ElementAction.KEEP
    for keyword in ("OperatorsName", "PerformingPhysicianName", "InstitutionAddress", "StationName", "OverlayData"):
        assert action_of("patient", keyword) is ElementAction.REMOVE


@pytest.mark.parametrize("name", ["deidentified", "teaching"])
def test_what_is_kept_beside_pseudonyms_is_numbers_codes_and_sequences(name: str) -> None:
    text_kinds = {"LO", "SH", "ST", "LT", "UT", "UC", "UR", "PN", "AS", "DA", "DT", "TM", "AE", "UN", "OB"}
    kept = [tag for tag, action in shipped().levels[name].elements.by_tag.items() if action is ElementAction.KEEP]
    assert [keyword_for_tag(tag) for tag in kept if dictionary_VR(tag) in text_kinds] == []
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert action_of(name, keyword) is ElementAction.UID
    for keyword in ("PatientID", "AccessionNumber", "StudyID", "PatientName"):
        assert action_of(name, keyword) is ElementAction.DUMMY


def ps315_rows() -> list[tuple[str, str, dict[str, str]]]:
    """Rows of PS3.15 Table E.1-1, where a copy of it is at hand."""
    path = Path(os.environ.get("SAFELIGHT_SHARED_DATA", "")) / "ps315" / "ps315_tables_E.1-1_and_E.3.4-1_2026d.json"
    if not path.is_file():
        return []
    return [(row["tag"], row["basic"], row["options"]) for row in json.loads(path.read_text())["rules"]]


def allowed_by_profile(basic: str, options: dict[str, str]) -> set[str]:
    allowed = {*re.findall("[DZXKCU]", basic), "X"}
    if allowed & {"Z", "D"}:
        allowed |= {"Z", "D"}
    if "U" in allowed and "*" in basic:
        allowed.add("K")
    in_force = ("retain_longitudinal_modified_dates", "clean_descriptors", "clean_structured_content")
    return allowed.union(*(options.get(option, "") for option in in_force))


@pytest.mark.parametrize("name", ["deidentified", "teaching"])
def test_the_basic_profile_with_modified_dates_is_kept_to(name: str) -> None:
    level: MaskingLevel = shipped().levels[name]
    for tag, basic, options in ps315_rows():
        if re.fullmatch("[0-9A-F]{8}", tag):
            action = level.elements.by_tag.get(int(tag, 16), level.elements.default)
            assert action.value in allowed_by_profile(basic, options), tag
