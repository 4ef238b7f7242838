"""Films that are stored and cannot be shown: a damaged codestream, a damaged seal. Never a wrong picture."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from builders import RGB, PixelFormat, chest_film, part10_bytes
from house import House, parts
from PIL import Image
from pydicom import dcmread
from pydicom import uid as uids
from store_kit import assert_says_nothing, journal

from server.errors import DecodeFailed, SealBroken
from server.model import ScreeningState

FILM = PixelFormat(rows=64, columns=64)
BYTES = PixelFormat(rows=64, columns=64, bits_allocated=8, bits_stored=8)
PICTURES = {
    "/rendered": "image/png",
    "/thumbnail": "image/png",
    "/frames/1/rendered": "image/jpeg",
    "/frames/1": "application/octet-stream",
    "": "application/dicom",
    "/bulkdata/7FE00010": "application/octet-stream",
}


def half(stream: bytes) -> bytes:
    return stream[: len(stream) // 2]


def nothing(stream: bytes) -> bytes:
    return bytes(len(stream))


def larger(stream: bytes) -> bytes:
    """A JPEG 2000 codestream that says it is 60 000 samples wide and high (ITU-T T.800 table A.9)."""
    at = stream.index(b"\xff\x51")
    size = (60_000).to_bytes(4, "big")
    return stream[: at + 6] + size * 2 + stream[at + 14 : at + 22] + size * 2 + stream[at + 30 :]


def smaller(_: bytes) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(np.zeros((8, 8), np.uint16), codecformat="j2k", level=0))


DAMAGE: dict[str, tuple[str, PixelFormat, Callable[[bytes], bytes]]] = {
    "JPEG, no stream": (uids.JPEGBaseline8Bit, BYTES, nothing),
    "JPEG lossless, zeros": (uids.JPEGLosslessSV1, FILM, nothing),
    "JPEG-LS, zeros": (uids.JPEGLSLossless, FILM, nothing),
    "JPEG 2000, zeros": (uids.JPEG2000Lossless, FILM, nothing),
    "JPEG 2000, larger than said": (uids.JPEG2000Lossless, FILM, larger),
    "JPEG 2000, smaller than said": (uids.JPEG2000Lossless, FILM, smaller),
    "HTJ2K, zeros": (uids.HTJ2KLossless, FILM, nothing),
    "RLE, cut": (uids.RLELossless, FILM, half),
    "RLE, zeros": (uids.RLELossless, FILM, nothing),
    "RGB in RLE, cut": (uids.RLELossless, RGB, half),
}


def damaged(number: int, syntax: str, pixels: PixelFormat, damage: Callable[[bytes], bytes]) -> bytes:
    """A film whose one codestream went through `damage`, its lengths and tables as they should be."""
    ds = dcmread(io.BytesIO(part10_bytes(chest_film(pixels, study=number, InstanceNumber=number), syntax)))
    stream = damage(next(iter(_streams(ds.PixelData))))
    stream += b"\0" * (len(stream) % 2)
    head = b"\xfe\xff\x00\xe0" + (4).to_bytes(4, "little") + bytes(4) + b"\xfe\xff\x00\xe0"
    ds.PixelData = head + len(stream).to_bytes(4, "little") + stream
    sink = io.BytesIO()
    ds.save_as(sink)
    return sink.getvalue()


def _streams(value: bytes) -> Iterator[bytes]:
    position = 8 + int.from_bytes(value[4:8], "little")
    while position < len(value) and value[position : position + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(value[position + 4 : position + 8], "little")
        yield value[position + 8 : position + 8 + length]
        position += 8 + length


def path_of(number: int) -> str:
    ds = chest_film(FILM, study=number)
    return f"/dicomweb/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def shown_as(house: House, user: str, number: int) -> str:
    """The path of the film of this InstanceNumber in a user's own world."""
    rows = house.get("/dicomweb/instances", user, "application/dicom+json").json or []
    (row,) = [row for row in rows if row["00200013"]["Value"] == [number]]
    study, series, instance = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    return f"/dicomweb/studies/{study}/series/{series}/instances/{instance}"


def wholly_masked(answer: bytes) -> bool:
    """Whether pixels show nothing but the pattern of a mask: hardly any values, none of the film's gradient."""
    if answer.startswith((b"\x89PNG", b"\xff\xd8")):
        # A lossy picture rings a little around the pattern, and letters say that it is masked.
        counts = np.bincount((np.asarray(Image.open(io.BytesIO(answer)).convert("L")) >> 4).ravel(), minlength=16)
        return bool(np.sort(counts)[-4:].sum() >= 0.95 * counts.sum())
    values = dcmread(io.BytesIO(answer)).PixelData if answer[128:132] == b"DICM" else answer
    return len(set(values)) <= 6


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that holds a good film and every damaged one, screened as far as that goes."""
    with House(tmp_path_factory.mktemp("corrupt")) as one:
        assert one.store(part10_bytes(chest_film(FILM))).status_code == 200
        for number, (name, (syntax, pixels, damage)) in enumerate(DAMAGE.items()):
            assert one.store(damaged(number + 10, syntax, pixels, damage)).status_code == 200, name
        one.screen()
        yield one


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_codestream_is_a_failure_or_wholly_masked(house: House, name: str) -> None:
    number = list(DAMAGE).index(name)
    path = path_of(number + 10)
    record = house.services.catalog.instances_of(path.split("/")[3])[0]
    assert record.screening is ScreeningState.FAILED
    for suffix, accept in PICTURES.items():
        answer = house.get(path + suffix, "clinician", accept)
        if suffix == "/thumbnail":
            # Never with text, whatever the role: what could not be screened is wholly masked.
            assert answer.status_code == 200
            assert wholly_masked(answer.data)
            continue
        assert answer.status_code == 500, suffix
        assert_says_nothing(answer)
        last = journal(house)[-1]
        assert (last.kind, last.status, last.reason.split(":")[0]) == ("alarm", 500, "DecodeFailed")
    assert house.get(f"{path}/metadata", "clinician", "application/dicom+json").status_code == 200
    masked = shown_as(house, "researcher", number + 10)
    for suffix, accept in PICTURES.items():
        answer = house.get(masked + suffix, "researcher", accept)
        assert answer.status_code == 200, suffix
        assert wholly_masked(answer.data), suffix
    for user in ("teacher", "front-desk"):
        shown = shown_as(house, user, number + 10)
        for suffix in ("/rendered", "/thumbnail", "/frames/1/rendered"):
            assert wholly_masked(house.get(shown + suffix, user, "image/png").data), (user, suffix)
    assert house.get(f"{path_of(1)}/rendered", "clinician", "image/png").status_code == 200


def test_a_codestream_that_says_it_is_huge_is_bounded(house: House) -> None:
    """60 000 x 60 000 samples would be 7 GB; the child stops far below its own bound."""
    path = path_of(list(DAMAGE).index("JPEG 2000, larger than said") + 10)
    assert house.get(f"{path}/frames/1", "clinician").status_code == 500
    peaks = [_peak(pid) for pid in house.services.decoder.process_ids()]
    assert max(peaks, default=0) < house.settings.decoder_bytes / 4


def _peak(pid: int) -> int:
    """The most memory that a process was ever given, in bytes; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def test_a_frame_that_fails_in_a_stream_breaks_it_off(tmp_path: Path) -> None:
    """The second of two frames is damaged: the first may have left, the answer has no end, the journal says so."""
    pixels = PixelFormat(rows=64, columns=64, frames=2)
    ds = dcmread(io.BytesIO(part10_bytes(chest_film(pixels), uids.JPEG2000Lossless)))
    streams = list(_streams(ds.PixelData))
    ds.PixelData = ds.PixelData.replace(streams[1], bytes(len(streams[1])))
    sink = io.BytesIO()
    ds.save_as(sink)
    with House(tmp_path) as house:
        assert house.store(sink.getvalue()).status_code == 200
        (path,) = house.instances("clinician")
        assert len(parts(house.get(f"{path}/frames/1", "clinician", 'multipart/related; type="*/*"'))) == 1
        assert house.get(f"{path}/frames/2,1", "clinician").status_code == 500
        with pytest.raises(DecodeFailed):
            house.get(f"{path}/frames/1,2", "clinician", 'multipart/related; type="*/*"')
        last = journal(house)[-1]
        assert (last.kind, last.reason) == ("closing", "the stream was broken off")
        assert house.get(f"{path}/frames/1", "clinician").status_code == 200


def flipped(at: float) -> Callable[[bytes], bytes]:
    def flip(sealed: bytes) -> bytes:
        place = int(len(sealed) * at)
        return sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]

    return flip


SEALS: dict[str, Callable[[bytes], bytes]] = {
    "a bit in the head": flipped(0.001),
    "a bit in the middle": flipped(0.5),
    "a bit at the end": flipped(0.999),
    "cut": lambda sealed: sealed[:-1],
    "empty": lambda _: b"",
    "longer": lambda sealed: sealed + b"\0",
}


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[House]:
    """A house with two screened films of two patients."""
    with House(tmp_path) as one:
        for number in (1, 2):
            ds = chest_film(FILM, patient=number, study=number, InstanceNumber=number)
            assert one.store(part10_bytes(ds)).status_code == 200
        one.screen()
        yield one


def assert_alarm(house: House, paths: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Every pixel route answers 500 to everybody, without a picture; the journal has an alarm, the log a line."""
    for user, path in paths.items():
        routes = PICTURES if user != "front-desk" else {"/rendered": "image/png", "/thumbnail": "image/png"}
        for suffix, accept in routes.items():
            caplog.clear()
            with caplog.at_level(logging.ERROR, "safelight.web"):
                answer = house.get(path + suffix, user, accept)
            assert answer.status_code == 500, (user, suffix)
            assert answer.json == {"error": SealBroken.public}
            assert_says_nothing(answer)
            last = journal(house)[-1]
            assert (last.kind, last.status, last.reason.split(":")[0]) == ("alarm", 500, "SealBroken")
            (line,) = caplog.messages
            assert "SealBroken" in line
            assert "CANARY" not in line
            assert path.split("/")[3] not in line


@pytest.mark.parametrize("name", SEALS)
def test_a_damaged_seal_is_an_alarm_and_no_picture(sealed: House, name: str, caplog: pytest.LogCaptureFixture) -> None:
    # What pixels are made of: a flipped bit may lie in one segment only, so what is asked is every pixel route.
    record = sealed.services.catalog.instances_of(path_of(1).split("/")[3])[0]
    file = sealed.settings.objects / record.content.name[:2] / record.content.name
    paths = {user: shown_as(sealed, user, 1) for user in ("clinician", "researcher", "front-desk")}
    whole = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(SEALS[name](whole))
    if name == "a bit in the middle":
        # Of three segments the second is the largest: only who opens the frame can notice.
        paths = {user: path for user, path in paths.items() if user != "front-desk"}
    assert_alarm(sealed, paths, caplog)
    assert sealed.get(f"{path_of(2)}/rendered", "clinician", "image/png").status_code == 200
    file.write_bytes(whole)
    assert sealed.get(f"{path_of(1)}/rendered", "clinician", "image/png").status_code == 200


def test_a_missing_object_is_an_alarm(sealed: House, caplog: pytest.LogCaptureFixture) -> None:
    record = sealed.services.catalog.instances_of(path_of(1).split("/")[3])[0]
    (sealed.settings.objects / record.content.name[:2] / record.content.name).unlink()
    paths = {user: shown_as(sealed, user, 1) for user in ("clinician", "researcher")}
    assert_alarm(sealed, paths, caplog)


@pytest.mark.parametrize("kind", ["content", "regions"])
def test_two_objects_changed_for_each_other_are_an_alarm(
    sealed: House, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """a.A9: another study's film, or another film's regions, under this one's name."""
    records = [sealed.services.catalog.instances_of(path_of(number).split("/")[3])[0] for number in (1, 2)]
    names = [getattr(record, kind).name for record in records]
    files = [sealed.settings.objects / name[:2] / name for name in names]
    bodies = [file.read_bytes() for file in files]
    for file, body in zip(files, reversed(bodies), strict=True):
        file.chmod(0o600)
        file.write_bytes(body)
    paths = {user: shown_as(sealed, user, 1) for user in ("clinician", "researcher")}
    assert_alarm(sealed, paths, caplog)
