"""The data set after masking. Only `server/metadata/deidentify.py` can make one, and what is here from one."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from functools import lru_cache

from pydicom.dataset import Dataset

from server.metadata.elements import BINARY_VRS, Element, Elements, in_order, string_element
from server.metadata.view import to_pydicom
from server.model import MaskingLevel

_WORKSHOP = object()


@dataclass(frozen=True, kw_only=True)
class MaskedDataset:
    """What may leave of a data set at `level`; never with top-level pixel data. The constructor refuses strangers."""

    elements: Elements
    level: MaskingLevel
    workshop: InitVar[object]

    def __post_init__(self, workshop: object) -> None:
        if workshop is not _WORKSHOP:
            raise TypeError("only the masker makes a MaskedDataset")

    @property
    def dataset(self) -> Dataset:
        """A new pydicom view of `elements`."""
        return to_pydicom(self.elements)


@dataclass(frozen=True, kw_only=True)
class PixelForm:
    """The form of the samples that are sent, in PS3.3 C.7.6.3's terms, where it differs from that of the stored."""

    photometric_interpretation: str
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool


def with_pixel_form(masked: MaskedDataset, form: PixelForm) -> MaskedDataset:
    """`masked` with the image pixel attributes of what is really sent; nothing else can be changed this way."""
    changed = _described(form)
    kept = {**masked.elements, **changed}
    if form.samples_per_pixel == 1:
        kept.pop(0x00280006, None)
    return replace(masked, elements=in_order(kept.values()), workshop=_WORKSHOP)


def without_binary(masked: MaskedDataset) -> MaskedDataset:
    """`masked` without the values that are only bytes, at any depth: for objects of which just attributes are told."""
    return replace(masked, elements=_without_binary(masked.elements), workshop=_WORKSHOP)


def _without_binary(elements: Elements) -> Elements:
    return {
        tag: one if one.items is None else one._replace(items=tuple(map(_without_binary, one.items)))
        for tag, one in elements.items()
        if one.vr not in BINARY_VRS
    }


@lru_cache(maxsize=256)
def _described(form: PixelForm) -> Elements:
    """The attributes that describe such samples; the same objects for the same form."""
    numbers = {
        0x00280002: form.samples_per_pixel,
        0x00280100: form.bits_allocated,
        0x00280101: form.bits_stored,
        0x00280102: form.high_bit,
        0x00280103: int(form.signed),
    }
    if form.samples_per_pixel > 1:
        numbers[0x00280006] = 0
    changed = {tag: Element(tag, "US", number.to_bytes(2, "little")) for tag, number in numbers.items()}
    return {**changed, 0x00280004: string_element(0x00280004, "CS", form.photometric_interpretation)}


def masked_dataset(elements: Elements, level: MaskingLevel) -> MaskedDataset:
    """For the masker alone; a test of the house's architecture holds that nobody else calls it."""
    return MaskedDataset(elements=elements, level=level, workshop=_WORKSHOP)
