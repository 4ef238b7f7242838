"""Storing an object that is never whole in memory: made and sent as it goes, to a server of real processes."""

from __future__ import annotations

import http.client
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from builders import PixelFormat, chest_film, part10_bytes
from house import House
from house_process import memory, serving, workers

FRAME = PixelFormat(rows=1024, columns=1024)
FRAME_BYTES = 2 * 1024 * 1024
BOUNDARY = "safelight-large-object"
_PIXELS = struct.pack("<HH", 0x7FE0, 0x0010) + b"OW\0\0"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a store cost: the worker's memory at `rest`, what its peak has `grown` by (bytes), seconds of the wall."""

    status: int
    seconds: float
    rest: int
    grown: int
    answer: bytes


def film(frames: int) -> Iterator[bytes]:
    """A film of so many frames of 2 MiB each, every one of them different, piece by piece."""
    head = part10_bytes(chest_film(FRAME, NumberOfFrames=frames))
    at = head.rindex(_PIXELS)
    yield head[:at] + _PIXELS + struct.pack("<L", frames * FRAME_BYTES)
    grain = np.random.default_rng(4).integers(0, 4096, FRAME_BYTES // 2, np.uint16)
    for number in range(frames):
        yield np.roll(grain, number * 977).tobytes()


def parts(frames: int) -> Iterator[bytes]:
    """The body of the store, without its length ahead."""
    yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    yield from film(frames)
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def store(directory: Path, frames: int, *, limit: int) -> Stored:
    """Store a film of `frames` frames in a fresh server of one worker that takes at most `limit` bytes."""
    with House(directory) as house:
        token = house.token("technologist")
        house.close()
        with serving(house, directory, workers=1, max_request_bytes=limit, max_object_bytes=limit) as (port, main):
            (worker, *_) = workers(main)
            rest = memory(worker, "VmHWM")
            began = perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
            headers = {
                "Authorization": f"Bearer {token}",
                "Accept": "application/dicom+json",
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            }
            connection.request("POST", "/dicomweb/studies", parts(frames), headers, encode_chunked=True)
            answer = connection.getresponse()
            body = answer.read()
            seconds = perf_counter() - began
            connection.close()
            grown = memory(worker, "VmHWM") - rest
            return Stored(status=answer.status, seconds=seconds, rest=rest, grown=grown, answer=body)
