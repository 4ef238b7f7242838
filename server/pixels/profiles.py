"""Colour spaces of rendered pictures (PS3.18 section 8.3.5.1.5): ICC profiles that say nothing of a device.

sRGB (IEC 61966-2-1), Adobe RGB (1998), ROMM RGB (ISO 22028-2) and Display P3 as matrix profiles (ICC.1:2010), built
here, so that every run and every machine sends the same bytes. Where a data set brings no profile, it is sRGB.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from server.errors import UnsupportedPixels
from server.model import ColourSpace

Picture = NDArray[np.uint8]
Triple = tuple[float, float, float]
# More than a profile of any device needs.
_LARGEST = 8 << 20
_WHITE: Triple = (0.9642, 1.0, 0.8249)
# Red, green and blue primaries adapted to D50, and the exponent of the curve; 0 is the curve of sRGB.
_SPACES: Mapping[str, tuple[bytes, Sequence[Triple], float]] = {
    "srgb": (
        b"sRGB",
        ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
        0.0,
    ),
    "adobergb": (
        b"Adobe RGB (1998)",
        ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
        2.19921875,
    ),
    "rommrgb": (
        b"ROMM RGB",
        ((0.79767, 0.28804, 0.0), (0.13519, 0.71187, 0.0), (0.03134, 0.00009, 0.82491)),
        1.8,
    ),
    "displayp3": (
        b"Display P3",
        ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
        0.0,
    ),
}


def in_space(picture: Picture, wanted: ColourSpace, own: bytes) -> tuple[Picture, bytes]:
    """The picture in the colours that are asked for, and the profile to send with it, empty for "no".

    `own` is the profile of the (masked) data set, empty where there is none. With a profile a grey picture becomes one
    of three equal channels. Raises `UnsupportedPixels` for an `own` that cannot be used.
    """
    if wanted == "no":
        return picture, b""
    grey = picture.shape[2] == 1
    colours = np.repeat(picture, 3, axis=2) if grey else picture
    # A grey picture is meant for the screen as it is, whatever the device of its data set.
    source = own if own and not grey else profile("srgb")
    if len(source) > _LARGEST:
        raise UnsupportedPixels("the colour profile cannot be used")
    if wanted == "yes":
        return colours, source
    target = profile(wanted)
    return (colours if source == target else _converted(colours, source, target)), target


@cache
def profile(name: str) -> bytes:
    """The bytes of a display profile, the same every time."""
    words, primaries, gamma = _SPACES[name]
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words + bytes(1 + 4 + 4 + 2 + 1 + 67),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": _xyz(_WHITE),
        **{tag: _xyz(xyz) for tag, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma)),
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_WHITE)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def _fixed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _xyz(numbers: Triple) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(numbers)


def _curve(gamma: float) -> bytes:
    if gamma:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    shares = np.linspace(0.0, 1.0, 1024)
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    entries = np.rint(linear * 65_535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(entries)) + bytes(entries.tobytes())


def _converted(picture: Picture, source: bytes, target: bytes) -> Picture:
    image = Image.fromarray(np.ascontiguousarray(picture))
    try:
        ends = [ImageCms.ImageCmsProfile(io.BytesIO(one)) for one in (source, target)]
        found = ImageCms.profileToProfile(
            image, ends[0], ends[1], renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        raise UnsupportedPixels("the colour profile cannot be used") from None
    if found is None:
        raise UnsupportedPixels("the colour profile cannot be used")
    return np.asarray(found)
