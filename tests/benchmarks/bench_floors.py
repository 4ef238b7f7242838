"""The floors: the least that any server has to do for the same answer, with the same libraries and no masking.

A picture: open the sealed frame with plain AES-GCM, `np.frombuffer`, `cv2.LUT`, `simplejpeg` at quality 90. Metadata:
open each header, parse it, write JSON. A store: parse, seal, write, fsync. A search: open the rows of the page, JSON.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import orjson
import pydicom
import simplejpeg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_CIPHER = AESGCM(b"k" * 32)
_NONCE = b"n" * 12


def sealed(file: Path, plain: bytes) -> Path:
    file.write_bytes(_CIPHER.encrypt(_NONCE, plain, None))
    return file


def frame(file: Path) -> bytes:
    return _CIPHER.decrypt(_NONCE, file.read_bytes(), None)


def picture(file: Path, rows: int, columns: int, decode: Callable[[bytes], bytes] = bytes) -> bytes:
    samples = np.frombuffer(decode(frame(file)), "<u2").reshape(rows, columns)
    return _grey(cv2.LUT(samples, _table()))


def viewport(file: Path, rows: int, columns: int, side: int, decode: Callable[[bytes], bytes] = bytes) -> bytes:
    """Halved while that is exact, then brought to its size, and only then looked up."""
    samples = np.frombuffer(decode(frame(file)), "<u2").reshape(rows, columns)
    part = side / max(rows, columns)
    height, width = round(rows * part), round(columns * part)
    while not (samples.shape[0] % 2 or samples.shape[1] % 2) and samples.shape[0] >= 2 * height:
        samples = cv2.resize(samples, (samples.shape[1] // 2, samples.shape[0] // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA)
    return _grey(cv2.LUT(small, _table()))


def colour(file: Path, rows: int, columns: int) -> bytes:
    samples = np.frombuffer(frame(file), np.uint8).reshape(rows, columns, 3)
    encoded: bytes = simplejpeg.encode_jpeg(samples, 90, "RGB", "444", False)  # noqa: FBT003
    return encoded


def packed(samples: bytes) -> bytes:
    return bytes(imagecodecs.blosc_encode(samples, compressor="lz4", level=1, shuffle=2, typesize=2, numthreads=1))


def unpacked(content: bytes) -> bytes:
    return bytes(imagecodecs.blosc_decode(content, numthreads=1))


@cache
def _table() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.clip(np.arange(65536) / 4095 * 255, 0, 255).astype(np.uint8)


def _grey(picture: np.ndarray[Any, Any]) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(picture)[:, :, None], 90, "GRAY", "Gray", False)  # noqa: FBT003
    return encoded


def metadata(headers: Sequence[bytes]) -> bytes:
    opened = (_CIPHER.decrypt(_NONCE, one, None) for one in headers)
    return orjson.dumps([pydicom.dcmread(io.BytesIO(one)).to_json_dict() for one in opened])


def sealed_header(body: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(body), stop_before_pixels=True)
    sink = io.BytesIO()
    dataset.save_as(sink)
    return _CIPHER.encrypt(_NONCE, sink.getvalue(), None)


def rows(sealed_rows: Sequence[bytes]) -> bytes:
    return orjson.dumps([orjson.loads(_CIPHER.decrypt(_NONCE, one, None)) for one in sealed_rows])


def sealed_row(row: object) -> bytes:
    return _CIPHER.encrypt(_NONCE, orjson.dumps(row), None)


def store(file: Path, body: bytes) -> None:
    pydicom.dcmread(io.BytesIO(body), stop_before_pixels=True)
    written(file, _CIPHER.encrypt(_NONCE, body, None))


def written(file: Path, content: bytes) -> None:
    """Write a new file and make it durable."""
    with file.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())


def appended(file: Path, line: bytes) -> None:
    """Append a line and make it durable."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
