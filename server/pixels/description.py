"""What the header says of the pixel data (PS3.3 C.7.6.3), checked before a single sample is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, SupportsInt, cast

from pydicom import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

from server.errors import UnsupportedPixels

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
RLE = "1.2.840.10008.1.2.5"

NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED_LITTLE, EXPLICIT_BIG})
JPEG_DCT = frozenset({JPEG_BASELINE, JPEG_EXTENDED})
JPEG = JPEG_DCT | {JPEG_LOSSLESS, JPEG_LOSSLESS_SV1}
JPEG_LS = frozenset({JPEG_LS_LOSSLESS, JPEG_LS_NEAR})
HIGH_THROUGHPUT = frozenset({HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K})
WAVELET = HIGH_THROUGHPUT | {JPEG_2000_LOSSLESS, JPEG_2000}
ENCAPSULATED = JPEG | JPEG_LS | WAVELET | {RLE}
# .203 and .91 may hold reversible streams; that they might not is reason enough to grow a mask.
LOSSY = JPEG_DCT | {JPEG_LS_NEAR, JPEG_2000, HTJ2K}

MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})
_ONE_SAMPLE = MONOCHROME | {"PALETTE COLOR"}
_THREE_SAMPLES = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"})

LARGEST_SIDE = 65_535
MOST_FRAMES = 100_000
LARGEST_FRAME = 256 * 1024 * 1024

DataKind = Literal["integer", "float", "double"]
PixelKeyword = Literal["PixelData", "FloatPixelData", "DoubleFloatPixelData"]


@dataclass(frozen=True, kw_only=True)
class PixelDescription:
    """The image pixel module of one stored instance, consistent by construction through `describe`.

    `rows` and `columns` are 1 to 65535, `samples_per_pixel` 1 or 3, `bits_allocated` 1, 8, 16, 32 (64 for doubles),
    `number_of_frames` 1 to 100000. For float data `bits_stored` equals `bits_allocated` and `signed` is True.
    `lossy_history`: the header or the transfer syntax says that the samples have been through lossy compression;
    `padding`: least and largest stored value that stand for no sample (PS3.3 C.7.5.1.1.2), None where it is not said.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric_interpretation: str
    planar_configuration: int
    number_of_frames: int
    transfer_syntax_uid: str
    data_kind: DataKind
    lossy_history: bool
    padding: tuple[int, int] | None = None

    @property
    def shift(self) -> int:
        """Position of the lowest stored bit within the allocated cell (0 wherever High Bit is Bits Stored - 1)."""
        return self.high_bit + 1 - self.bits_stored

    @property
    def dtype(self) -> str:
        """NumPy type of one decoded sample in native byte order, such as "u2", "i2" or "f4"."""
        if self.data_kind != "integer":
            return "f4" if self.data_kind == "float" else "f8"
        return f"{'i' if self.signed else 'u'}{max(self.bits_allocated // 8, 1)}"

    @property
    def frame_bits(self) -> int:
        """Bits of one frame in native encoding (PS3.5 section 8.1.1 and PS3.3 C.7.6.3.1.2 for 4:2:2)."""
        samples = 2 if self.subsampled else self.samples_per_pixel
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def subsampled(self) -> bool:
        """Whether native frames hold one chroma pair for two neighbouring columns."""
        return self.photometric_interpretation == "YBR_FULL_422" and self.transfer_syntax_uid in NATIVE


def describe(
    dataset: Dataset, transfer_syntax_uid: str, *, keyword: PixelKeyword = "PixelData"
) -> PixelDescription | None:
    """Read the image pixel module out of a data set without its pixel data; None if there is no such module.

    Raises `UnsupportedPixels` for everything that PS3.3 C.7.6.3 and C.7.6.24 forbid, for retired forms that are not
    decoded here, for unknown transfer syntaxes and beyond the limits of this module.
    """
    if "Rows" not in dataset and "Columns" not in dataset:
        return None
    if transfer_syntax_uid not in NATIVE | ENCAPSULATED:
        raise UnsupportedPixels("transfer syntax is not decoded here")
    photometric = _text(dataset, "PhotometricInterpretation")
    samples = _whole(dataset, "SamplesPerPixel", 1, 3)
    if photometric not in {1: _ONE_SAMPLE, 3: _THREE_SAMPLES}.get(samples, frozenset()):
        raise UnsupportedPixels("photometric interpretation and samples per pixel do not go together")
    kinds: dict[str, DataKind] = {"PixelData": "integer", "FloatPixelData": "float", "DoubleFloatPixelData": "double"}
    kind = kinds[keyword]
    allocated = _whole(dataset, "BitsAllocated", 1, 64)
    if kind == "integer":
        stored = _whole(dataset, "BitsStored", 1, allocated)
        high = _whole(dataset, "HighBit", stored - 1, allocated - 1)
        signed = bool(_whole(dataset, "PixelRepresentation", 0, 1))
    else:
        stored, high, signed = allocated, allocated - 1, True
    description = PixelDescription(
        rows=_whole(dataset, "Rows", 1, LARGEST_SIDE),
        columns=_whole(dataset, "Columns", 1, LARGEST_SIDE),
        samples_per_pixel=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=signed,
        photometric_interpretation=photometric,
        planar_configuration=_whole(dataset, "PlanarConfiguration", 0, 1, absent=0) if samples == 3 else 0,
        number_of_frames=_whole(dataset, "NumberOfFrames", 1, MOST_FRAMES, absent=1),
        transfer_syntax_uid=transfer_syntax_uid,
        data_kind=kind,
        lossy_history=transfer_syntax_uid in LOSSY or _text(dataset, "LossyImageCompression", "00") != "00",
        padding=_padding(dataset, allocated, signed=signed) if kind == "integer" else None,
    )
    _check(description)
    return description


def _check(description: PixelDescription) -> None:
    """Refuse combinations that single elements cannot tell."""
    cells = {"integer": {1, 8, 16, 32}, "float": {32}, "double": {64}}[description.data_kind]
    color = description.samples_per_pixel == 3
    transform = description.photometric_interpretation.startswith("YBR")
    native = description.transfer_syntax_uid in NATIVE
    problems = (
        description.bits_allocated not in cells,
        description.data_kind != "integer" and (not native or description.photometric_interpretation not in MONOCHROME),
        description.bits_allocated == 1 and (color or description.signed or not native),
        color and (description.signed or description.shift != 0),
        transform and description.bits_allocated not in {8, 16},
        native and description.photometric_interpretation in {"YBR_RCT", "YBR_ICT"},
        description.subsampled and (description.columns % 2 or description.planar_configuration),
        not native and description.shift != 0,
        description.photometric_interpretation == "PALETTE COLOR"
        and (description.signed or description.bits_allocated > 16),
    )
    if any(problems):
        raise UnsupportedPixels("the image pixel module contradicts itself")
    item = max(description.bits_allocated // 8, 1)
    if description.rows * description.columns * description.samples_per_pixel * item > LARGEST_FRAME:
        raise UnsupportedPixels("one frame exceeds the limit")


def _padding(dataset: Dataset, allocated: int, *, signed: bool) -> tuple[int, int] | None:
    """The range of padding; None where the header does not say one that can be read: nothing is refused for it."""
    found = [dataset.get_item(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    raw = [bytes(one.value) if one is not None and isinstance(one.value, bytes) else b"" for one in found]
    said = [one.value for one in found if one is not None and isinstance(one.value, int)]
    said += [int.from_bytes(one, "little") for one in raw if len(one) == 2]
    return padding_range(said, allocated, signed=signed)


def padding_range(said: Sequence[int], allocated: int, *, signed: bool) -> tuple[int, int] | None:
    """Least and largest padding value of samples in cells of so many bits; None if nothing is said."""
    # Writers take US for SS and the other way round; the two bytes are the same.
    cells = [one % (1 << max(allocated, 16)) for one in said]
    half = 1 << (max(allocated, 16) - 1)
    numbers = [one - 2 * half if signed and one >= half else one for one in cells]
    return (min(numbers), max(numbers)) if numbers else None


def _whole(dataset: Dataset, keyword: str, least: int, most: int, *, absent: int | None = None) -> int:
    """Return one whole number within bounds; `absent` stands in for a missing or empty element."""
    value = _value(dataset, keyword)
    if value is None or value == "":
        value = absent
    if isinstance(value, MultiValue):
        raise UnsupportedPixels(f"{keyword} has several values")
    try:
        number = int(cast(SupportsInt, value))
        exact = number == value or str(number) == str(value).strip()
    except (OverflowError, TypeError, ValueError):
        raise UnsupportedPixels(f"{keyword} is missing or not a number") from None
    if not exact or not least <= number <= most:
        raise UnsupportedPixels(f"{keyword} is out of bounds")
    return number


def _text(dataset: Dataset, keyword: str, absent: str = "") -> str:
    value = _value(dataset, keyword)
    return absent if value is None or value == "" else str(value).strip()


def _value(dataset: Dataset, keyword: str) -> object:
    """Return an element's value; what pydicom cannot convert (half a word, a number of 4000 digits) is refused."""
    try:
        return dataset.get(keyword)
    except (ArithmeticError, BytesLengthException, NotImplementedError, TypeError, ValueError):
        raise UnsupportedPixels(f"{keyword} cannot be read") from None
