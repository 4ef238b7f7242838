"""What somebody who may store tries: tables that end too early, scripts in names, echoes, and two-faced files."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import GREY, PixelFormat, chest_film, part10_bytes
from house import House
from pydicom.dataset import Dataset
from sweep_routes import unsynced

TESTS = Path(__file__).resolve().parent
TINY = PixelFormat(rows=16, columns=16)
JSON = "application/dicom+json"
TABLES = ("Red", "Green", "Blue")
SUFFIXES = ("rendered", "frames/1", "rendered?window=40,80,linear", "thumbnail", "metadata", "")


def _palette(entries: int, first: int, bits: int, sent: int, samples: Any) -> Dataset:
    """A palette film whose descriptor promises `entries` and whose data hold `sent` bytes."""
    ds = chest_film(PixelFormat(rows=16, columns=16, bits_allocated=8, bits_stored=8), canaries=False)
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for name in TABLES:
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [entries, first, bits])
        setattr(ds, f"{name}PaletteColorLookupTableData", bytes(range(256))[: sent % 257] * max(1, sent // 256))
    ds.PixelData = np.asarray(samples, "u1").tobytes()
    return ds


def _table(keyword: str, descriptor: list[int], sent: int) -> Dataset:
    ds = chest_film(GREY, canaries=False)
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "OW", bytes(sent))
    if keyword == "ModalityLUTSequence":
        item.ModalityLUTType = "US"
        for gone in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            if gone in ds:
                del ds[gone]
    setattr(ds, keyword, [item])
    return ds


def malformed() -> dict[str, Dataset]:
    """Films whose tables are shorter than they say, begin elsewhere, or are asked for what they do not hold."""
    ramp = np.arange(256, dtype="u1").reshape(16, 16)
    found = {
        "a palette without data": _palette(256, 0, 16, 0, ramp),
        "a palette of half its data": _palette(256, 0, 16, 256, ramp),
        "a palette of 65 536 promised entries": _palette(0, 0, 16, 512, ramp),
        "a palette of four entries, samples beyond": _palette(4, 0, 8, 4, ramp),
        "a palette that begins behind the samples": _palette(256, 40000, 16, 512, ramp),
        "a palette of 13 bits": _palette(256, 0, 13, 512, ramp),
        "an odd palette": _palette(256, 0, 16, 511, ramp),
    }
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        found |= {
            f"{keyword} without data": _table(keyword, [4096, 0, 16], 0),
            f"{keyword} of half its data": _table(keyword, [4096, 0, 16], 4096),
            f"{keyword} that begins far away": _table(keyword, [256, 60000, 16], 512),
            f"{keyword} of no entries": _table(keyword, [0, 0, 16], 2),
        }
    return found


def transcript(noise: int) -> str:
    """Digests of every answer about every such film from a process whose free memory was full of `noise` before."""
    filled = [bytearray([noise]) * size for size in (64, 512, 4096, 65536, 1 << 20) for _ in range(50)]
    del filled
    answers = []
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        unsynced(patch)
        for number, (name, film) in enumerate(sorted(malformed().items())):
            with House(Path(root) / str(number)) as house:
                stored = house.store(part10_bytes(film))
                answers.append([name, stored.status_code])
                if stored.status_code != 200:
                    continue
                # Not screened, so that masked roles see it wholly masked; the clinician's answers are the pixels.
                for user in ("clinician", "researcher"):
                    for path in house.instances(user):
                        for suffix in SUFFIXES:
                            answer = house.get(f"{path}/{suffix}".rstrip("/"), user)
                            digest = hashlib.sha256(answer.data.replace(_boundary(answer.headers), b"")).hexdigest()
                            answers.append([name, user, suffix, answer.status_code, digest])
    return json.dumps(answers)


def _boundary(headers: Any) -> bytes:
    return str(headers.get("Content-Type", "")).partition("boundary=")[2].strip('"').encode() or b"\0no boundary\0"


def test_a_S5_a_malformed_table_shows_nothing_of_the_memory_beside_it() -> None:
    """Two processes whose memory held different things before give the same answers to the last byte."""
    program = "import sys; from test_attacks_store import transcript; print(transcript(int(sys.argv[1])))"
    told = []
    for noise in (0x00, 0xA5):
        ran = subprocess.run(
            [sys.executable, "-c", program, str(noise)],
            cwd=TESTS,
            env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}", "PYTHONHASHSEED": "0", "MALLOC_PERTURB_": str(noise)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        told.append(json.loads(ran.stdout))
    assert told[0] == told[1]
    names = {one[0] for one in told[0]}
    assert names == set(malformed())
    # At least one such film is taken and drawn, or nothing would have been looked at.
    assert [one for one in told[0] if len(one) == 5 and one[2] == "rendered" and one[3] == 200]
    assert not [one for one in told[0] if len(one) == 5 and one[3] == 500 and one[2] == "metadata"]


SCRIPT = "<script>alert(1)</script>"
HOSTILE = (SCRIPT, '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "{{7*7}}", "</title><svg onload=alert(1)>")
_TEXTS = ("PatientName", "StudyDescription", "SeriesDescription", "PatientComments", "ReferringPhysicianName")
_SHORT = ("AccessionNumber", "StudyID", "PatientID", "OperatorsName", "InstitutionName", "ProtocolName")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch, House(tmp_path_factory.mktemp("scripted")) as one:
        unsynced(patch)
        films = []
        for number, text in enumerate(HOSTILE, 1):
            changes: dict[str, Any] = {**dict.fromkeys(_TEXTS, text), **dict.fromkeys(_SHORT, text[:16])}
            films.append(part10_bytes(chest_film(TINY, study=number, canaries=False, **changes)))
        assert one.store(*films).status_code == 200
        yield one


@pytest.mark.parametrize("user", ["clinician", "researcher", "front-desk"])
def test_a_S9_markup_in_a_header_is_never_markup_in_an_answer(scripted: House, user: str) -> None:
    """JSON and XML carry it as text, under types and policies by which no browser runs it; no page holds it raw."""
    paths = [f"/dicomweb/{what}?includefield=all" for what in ("studies", "series", "instances")]
    paths += [f"{base}/metadata" for base in scripted.instances(user)]
    paths += ["/", f"/?q={SCRIPT}", f"/dicomweb/{SCRIPT}", f"/dicomweb/studies?PatientName={SCRIPT}", "/conformance"]
    seen = 0
    for path in paths:
        for accept in ("*/*", "text/html", 'multipart/related; type="application/dicom+xml"'):
            answer = scripted.get(path, user, accept)
            body = answer.get_data(as_text=True)
            seen += "alert(1)" in body
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            policy = answer.headers["Content-Security-Policy"]
            assert "unsafe-inline" not in policy
            if answer.mimetype not in ("application/json", JSON):
                assert not [text for text in HOSTILE if "<" in text and text in body], (path, accept)
            if path.startswith("/dicomweb"):
                assert "sandbox" in policy
    assert seen > 0 or user == "researcher"


def test_a_S10_a_report_of_a_store_says_nothing_of_what_was_there(tmp_path: Path) -> None:
    """A technologist of another department stores the same object, changed ones, and strangers to the same study: the
    report names only what they sent, and is the same whatever the hidden object holds."""
    reports = []
    for number, secret in enumerate(("ALPHA^FIRST", "OMEGA^SECOND")):
        with House(tmp_path / str(number)) as house:
            held = chest_film(TINY, canaries=False, PatientName=secret, PatientID="SECRET-1", StudyDescription=secret)
            assert house.store(part10_bytes(held)).status_code == 200
            stranger = house.token("technologist", departments=("surgery",))
            told = []
            for changes in ({}, {"PatientName": "GUESS^ONE"}, {"instance": 2}, {"series": 2}, {"PatientID": "OTHER"}):
                sent: dict[str, Any] = {
                    "canaries": False,
                    "PatientID": "SECRET-1",
                    "PatientName": "MINE^OWN",
                    **changes,
                }
                answer = house.store(part10_bytes(chest_film(TINY, **sent)), token=stranger)
                assert answer.status_code in (200, 202, 409)
                body = answer.get_data(as_text=True)
                assert secret.split("^")[0] not in body
                assert "SECRET-1" not in body
                assert "00081164" not in body, "no original attributes"
                told.append((answer.status_code, body))
            reports.append(told)
    assert reports[0] == reports[1]


@pytest.mark.parametrize("head", [b"MZ\x90\0\x03", b"\x7fELF\x02", b"%PDF-1.7", b"PK\x03\x04", b"II*\0\x08\0\0\0"])
def test_a_S11_a_preamble_is_never_sent_on(scripted: House, head: bytes) -> None:
    """Programs, archives and TIFFs that begin a film (PS3.10 section 7.1) leave as 128 zero bytes at every level."""
    number = 100 + head[0]
    film = part10_bytes(chest_film(TINY, study=number, canaries=False, PatientID="P-1"))
    assert scripted.store(head.ljust(128, b"\x90") + film[128:]).status_code == 200
    for user in ("clinician", "researcher"):
        for base in scripted.instances(user):
            whole = scripted.get(base, user, "application/dicom")
            assert whole.status_code == 200
            assert whole.data[:132] == bytes(128) + b"DICM"
            assert head not in scripted.get(base, user).data
