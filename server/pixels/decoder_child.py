"""The process that decodes compressed frames: it holds no key, no socket and no file, and may die at any time.

Run as a script by `server.pixels.decode.DecoderPool`, alone: it imports nothing of the server. A request on standard
input is the length of a JSON header (4 bytes, big endian), the length of the codestream (8 bytes), header and
codestream; the answer on standard output is a status byte (0: decoded), two characters of NumPy type, the length of
the samples (8 bytes) and the samples, interleaved, row by row, little endian.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

TYPES = ("u1", "i1", "u2", "i2", "u4", "i4")
REQUEST = struct.Struct(">IQ")
REPLY = struct.Struct(">B2sQ")
_REFUSALS = (RuntimeError, ValueError, TypeError, KeyError, IndexError, OverflowError, NotImplementedError, OSError)


def decode(codec: str, stream: bytes, shape: tuple[int, int, int], rle_type: str) -> NDArray[Any]:
    """Decode one codestream to (rows, columns, samples) in the stream's own type and colour space.

    Raises ValueError if the stream holds another shape, whatever the codec raises if it is damaged.
    """
    if codec == "rle":
        planes = np.frombuffer(imagecodecs.dicomrle_decode(stream, rle_type), rle_type)
        rows, columns, samples = shape
        decoded = planes.reshape(samples, rows, columns).transpose(1, 2, 0)
    elif codec == "jpeg":
        # Naming the same colour space twice keeps the components as they are stored.
        space = None if shape[2] == 1 else "YCBCR"
        decoded = imagecodecs.jpeg8_decode(stream, colorspace=space, outcolorspace=space)
    elif codec == "jpeg-ls":
        decoded = imagecodecs.jpegls_decode(stream)
    elif codec == "jpeg2000":
        decoded = imagecodecs.jpeg2k_decode(stream)
    elif codec == "htj2k":
        decoded = imagecodecs.htj2k_decode(stream, planar=False)
    else:
        raise ValueError("unknown codec")
    if decoded.ndim == 2:
        decoded = decoded[:, :, np.newaxis]
    if decoded.shape != shape:
        raise ValueError("the codestream has another shape than the header says")
    return np.ascontiguousarray(decoded)


def answer(header: Mapping[str, Any], stream: bytes) -> tuple[bytes, memoryview]:
    """Return the reply's head and samples; an empty reply with status 1 if the stream is refused."""
    try:
        shape = (int(header["rows"]), int(header["columns"]), int(header["samples"]))
        decoded = decode(str(header["codec"]), stream, shape, str(header["rle_type"]))
        kind = f"{decoded.dtype.kind}{decoded.dtype.itemsize}"
        if kind not in TYPES:
            raise ValueError("the codestream has samples of an unexpected type")
    except (MemoryError, *_REFUSALS):
        return REPLY.pack(1, b"--", 0), memoryview(b"")
    samples = decoded.data.cast("B")
    return REPLY.pack(0, kind.encode(), samples.nbytes), samples


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the other side goes away."""
    while len(lengths := source.read(REQUEST.size)) == REQUEST.size:
        header_length, stream_length = REQUEST.unpack(lengths)
        header = json.loads(source.read(header_length))
        stream = source.read(stream_length)
        if len(stream) != stream_length:
            return
        head, samples = answer(header, stream)
        sink.write(head)
        sink.write(samples)
        sink.flush()


def main() -> None:
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # A codec that prints must not speak into the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answers, "wb") as sink:
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
