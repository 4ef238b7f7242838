"""What the program is, to the byte: what one version of it made is never taken for another's."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def code_fingerprint() -> str:
    """SHA-256 of the program's own source: an answer that an earlier one made is never taken for this one's."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def decoding_fingerprint() -> str:
    """SHA-256 of what decoding depends on: codecs, and our own source about them. Copies of others are not read."""
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in ("imagecodecs", "numpy")).encode())
    for name in ("copy", "decode", "decoder_child", "description", "frame", "frames", "pool"):
        digest.update((Path(__file__).parent / "pixels" / f"{name}.py").read_bytes())
    return digest.hexdigest()


@cache
def rendition_fingerprint() -> str:
    """SHA-256 of what a picture depends on: the whole program, and the libraries that draw and encode."""
    libraries = ("imagecodecs", "numpy", "opencv-python-headless", "pillow", "pydicom")
    told = " ".join((code_fingerprint(), *(f"{name} {version(name)}" for name in libraries)))
    return hashlib.sha256(told.encode()).hexdigest()
