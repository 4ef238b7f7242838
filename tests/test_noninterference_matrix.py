"""Every form of samples in every transfer syntax x every carrier x every answer: pairs that differ in hidden bits only.

The forms are those of `codec_table`, the answers those that the application offers; a form, a syntax or a media type
that is added is asked here without being named here. The answers go in turn: each form in a third of them, each answer
of a third of the forms (`make long-test`: all of both).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import PixelFormat, chest_film, decoded_frames, part10_bytes
from builders_pixels import LOSSY, native_bytes
from codec_table import GENERATED
from house import House
from mask_faults import FAULTS, telling
from numpy.typing import NDArray
from pydicom import uid as uids
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from review_kit import settle_all
from sweep_routes import Rule, calls, client, offers, rules, screen, short, unsynced
from sweep_turns import WHOLE, in_turn
from test_noninterference import told

from server.model import Region, RegionKind, ScreeningState

# What is hidden: two places whose masks do not meet.
HIDDEN = (
    Region(kind=RegionKind.TEXT, top_row=50, left_column=50, row_count=10, column_count=10),
    Region(kind=RegionKind.FACE, top_row=82, left_column=114, row_count=10, column_count=10),
)
# All that their masks cover, to the very edge; where one block of a codec reaches into the next, a little less.
WHERE = (slice(32, 64), slice(32, 64)), (slice(64, 96), slice(96, 128))
WHERE_LOSSY = (slice(48, 80), slice(48, 80)), (slice(80, 112), slice(112, 144))
# These may be lossy, so that masks keep further away from what they hide.
BLOCKS = {*LOSSY, uids.HTJ2K}
# A sample changes samples far away in these, so that no pair of films differs under a mask only.
FAR = {uids.JPEG2000, uids.JPEGLSNearLossless}

_KEYWORDS = {"integer": "PixelData", "float": "FloatPixelData", "double": "DoubleFloatPixelData"}

Place = tuple[slice, slice]
Films = Sequence[tuple[str, PixelFormat]]


def form(pixels: PixelFormat) -> PixelFormat:
    """The same form, large enough to show something beside the mask; odd sides stay odd."""
    return replace(pixels, rows=128 + pixels.rows % 2, columns=160 + pixels.columns % 2)


def film(side: int, number: int, syntax: str, pixels: PixelFormat, *, whole: bool) -> bytes:
    """Film `number`: on each side other samples where it is masked, and other contents of everything beside them."""
    ds = chest_film(form(pixels), study=number, patient=number, canaries=False, hiding_places=side == 0)
    ds.InstanceNumber = number
    noise = np.random.default_rng((side, number))
    places = ((slice(None), slice(None)),) if whole else WHERE_LOSSY if syntax in BLOCKS else WHERE
    frames = [changed(one, noise, pixels, places) for one in _frames(ds, pixels)]
    setattr(ds, _KEYWORDS[pixels.data_kind], native_bytes(frames, form(pixels)))
    if pixels.photometric == "PALETTE COLOR":
        _recolored(ds, noise)
    if side:
        ds.BurnedInAnnotation = "YES"
        # A table that is no curve but a message.
        ds.VOILUTSequence = DicomSequence([_table(noise.integers(0, 1 << 16, 256).astype("<u2"))])
    return part10_bytes(ds, syntax)


def changed(
    frame: NDArray[np.generic], noise: np.random.Generator, pixels: PixelFormat, places: Sequence[Place]
) -> NDArray[np.generic]:
    """Other stored bits in these places, and in the unused bits of every sample."""
    result = np.array(frame)
    for place in places:
        here = result[place]
        if pixels.data_kind != "integer":
            here[...] = noise.uniform(-500, 500, here.shape)
            continue
        highest = 1 << pixels.bits_stored
        drawn = noise.integers(0, highest, (here.shape[0] // 8 + 1, here.shape[1] // 8 + 1, here.shape[2]))
        # In blocks, as some encoders have no room for what cannot be made smaller.
        drawn = np.repeat(np.repeat(drawn, 8, axis=0), 8, axis=1)[: here.shape[0], : here.shape[1]]
        here[...] = (drawn - (highest // 2) * pixels.signed).astype(here.dtype)
    if pixels.photometric == "YBR_FULL_422":
        result[:, 1::2, 1:] = result[:, ::2, 1:]
    return result


def _frames(ds: Dataset, pixels: PixelFormat) -> Iterator[NDArray[np.generic]]:
    if pixels.bits_allocated == 1 or pixels.photometric == "YBR_FULL_422" or pixels.data_kind != "integer":
        from builders import frame_samples

        return (frame_samples(form(pixels), number) for number in range(1, pixels.frames + 1))
    return iter(decoded_frames(ds))


def _recolored(ds: Dataset, noise: np.random.Generator) -> None:
    """Other colours for every index that only hidden samples have."""
    shown = np.array(decoded_frames(ds)[0])
    for place in WHERE:
        shown[place] = shown[0, 0]
    unused = np.setdiff1d(np.arange(256), shown)
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTableData"
        table = np.frombuffer(ds[keyword].value, "<u2" if len(ds[keyword].value) == 512 else "u1").copy()
        table[unused] = noise.integers(0, np.iinfo(table.dtype).max, len(unused))
        ds[keyword].value = table.tobytes()


def _table(entries: NDArray[np.uint16]) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [256, 0, 16])
    item.add_new(0x00283006, "OW", entries.astype("<u2").tobytes())
    return item


@contextmanager
def houses(root: Path, films: Films, *, whole: bool) -> Iterator[tuple[House, House]]:
    with House(root / "0", seed="pair") as one, House(root / "1", seed="pair") as other:
        for side, house in enumerate((one, other)):
            for number, (syntax, pixels) in enumerate(films, 1):
                answer = house.store(film(side, number, syntax, pixels, whole=whole))
                assert answer.status_code == 200, (syntax, pixels, answer.get_data())
            screen(house, None if whole else HIDDEN)
            if not whole:
                # Some are copies of screens, which wait for a person and are masked from edge to edge until then.
                settle_all(house)
            wanted = ScreeningState.FAILED if whole else ScreeningState.SCREENED
            assert house.services.catalog.counts()[wanted] == len(films)
        yield one, other


def table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, films: Films, *, whole: bool, turn: int = 0
) -> tuple[list[object], int]:
    """Every answer that differs, and how many were compared."""
    unsynced(monkeypatch)
    differing: list[object] = []
    answered = 0
    with houses(tmp_path, films, whole=whole) as (one, other):
        offered = offers(one, monkeypatch)
        here = [short(path) for path in one.instances("researcher")]
        assert len(here) == len(films)
        assert here == [short(path) for path in other.instances("researcher")]
        # One in eight films is asked for the same bodies in an envelope, or under another address, too.
        often = [one.rsplit("/", 1)[1] for at, one in enumerate(here) if at % 8]
        asking = [client(house, "researcher", house.token("researcher")) for house in (one, other)]
        for rule in _of_an_instance(one):
            every = calls(rule, offered.get(rule, ()), here, filters=())
            wanted = (
                one for one in every if not (_again(one.path, one.accept) and any(at in one.path for at in often))
            )
            for call in in_turn(wanted, turn):
                first, second = (told(who.send(house, call)) for who, house in zip(asking, (one, other), strict=True))
                answered += first[0] == 200
                if first != second:
                    differing.append((here.index(short_of(call.path, here)), call.path[-60:], call.accept))
    return differing, answered


def _of_an_instance(house: House) -> list[Rule]:
    return [rule for rule in sorted(rules(house)) if "<instance>" in rule[1] and "/dicomweb" in rule[1]] + [
        ("GET", "/wado")
    ]


def _again(path: str, accept: str) -> bool:
    if path.startswith("/wado"):
        return "transferSyntax=1" in path or "contentType=image/gif" in path
    if "/thumbnail" in path or ("/bulkdata" in path and not path.endswith("/bulkdata/7FE00010")):
        return True
    return ("multipart" in accept and not path.endswith("/frames/1")) or "/frames/1/" in path or "accept=" in path


def short_of(path: str, here: Sequence[str]) -> str:
    return next(one for one in here if one.rsplit("/", 1)[1] in path)


def test_the_table_leaves_out_what_cannot_differ_under_a_mask_alone() -> None:
    assert {syntax for syntax, _ in GENERATED} >= FAR
    assert FAR < LOSSY


@pytest.mark.parametrize("part", range(4))
def test_a_X10_every_form_and_carrier_and_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    films = [(syntax, pixels) for syntax, pixels in GENERATED if syntax not in FAR][part::4]
    differing, answered = table(tmp_path, monkeypatch, films, whole=False, turn=part)
    print(f"\n{len(films)} forms, {answered} answers compared")
    assert not differing, f"{len(differing)} of {answered}: {differing[:6]}"
    assert answered > (20 if WHOLE else 15) * len(films)


def test_a_X10_every_form_that_could_not_be_screened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    differing, answered = table(tmp_path, monkeypatch, GENERATED[::8], whole=True)
    print(f"\n{len(GENERATED[::8])} forms, {answered} answers compared")
    assert not differing, f"{len(differing)} of {answered}: {differing[:6]}"


def test_a_X10_a_broken_mask_is_told_by_the_pair_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsynced(monkeypatch)
    films = [(syntax, pixels) for syntax, pixels in GENERATED if syntax not in FAR]
    uids_of = [chest_film(pixels, study=number).SOPInstanceUID for number, (_, pixels) in enumerate(films, 1)]
    with houses(tmp_path, films, whole=False) as (one, other):
        assert telling(one, other) == set()
        for fault, (put, tells) in FAULTS.items():
            with monkeypatch.context() as patch:
                put(patch)
                told_by = telling(one, other)
            wanted = {uid for uid, (_, pixels) in zip(uids_of, films, strict=True) if tells(pixels)}
            wrong = [films[uids_of.index(uid)] for uid in wanted ^ told_by]
            assert not wrong, f"{fault}: {wrong[:6]}"
