"""Unseal, decode, MASK: the darkroom. The one place where an original is open, and nothing unmasked comes out of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

from server.admit import View
from server.errors import NotFound, SealBroken, UnsupportedPixels
from server.headers import description_of
from server.metadata.deidentify import Shared, deidentify, displayed
from server.metadata.elements import SPECIFIC_CHARACTER_SET, Elements, first_text
from server.metadata.masked import MaskedDataset, PixelForm, with_pixel_form
from server.metadata.part10 import reread
from server.metadata.pseudonyms import Names
from server.metadata.view import to_pydicom
from server.model import (
    Identifier,
    IdentifierKind,
    InstanceRecord,
    MaskingLevel,
    Region,
    RegionKind,
    RegionStyle,
    ScreeningState,
)
from server.model.kinds import is_video
from server.pixels.colour import in_photometric, sent_photometric
from server.pixels.copy import pack, unpack, worth_copying
from server.pixels.decode import decode, decoded_photometric
from server.pixels.description import PixelDescription, PixelKeyword
from server.pixels.display import Table, display_attributes
from server.pixels.frame import Frame, blank
from server.pixels.frames import FrameLayout
from server.pixels.palette import as_colors, colored
from server.pixels.redact import MaskedFrame, hides_all, redact
from server.screening.regions import RegionSet, decode_regions
from server.services import Services

# What a sealed original consists of, in this order: manifest, everything before the pixel data element's value, one
# segment a frame, everything after.
CONTENT = "instance"
REGIONS = "regions"
_MANIFEST, _HEAD, _FIRST_FRAME = 0, 1, 2
_PHOTOMETRIC, _SOP_INSTANCE_UID = 0x00280004, 0x00080018
_IMAGE = 0x0028
_INDEXED = "PALETTE COLOR"


@dataclass(frozen=True, kw_only=True)
class Original:
    """One opened original: its data set without pixel data, how its frames lie, its regions and row keys."""

    record: InstanceRecord
    elements: Elements
    description: PixelDescription | None
    layout: FrameLayout | None
    pixel_keyword: PixelKeyword
    row_keys: Mapping[Identifier, bytes]
    regions: tuple[Region, ...]
    study_key: bytes

    @cached_property
    def palette(self) -> Table | None:
        """The stored table of colours. Raises `UnsupportedPixels` for one that cannot be read."""
        return display_attributes(to_pydicom(_image_elements(self.elements))).palette


@dataclass(frozen=True, kw_only=True)
class Described:
    """What one original says of itself: everything but its samples and what was found in them.

    `description` is None without pixel data, `decoded` what the frames' photometric interpretation is once they are
    decoded, None where they are sent as the header describes them.
    """

    record: InstanceRecord
    elements: Elements
    row_keys: Mapping[Identifier, bytes]
    pixel_keyword: PixelKeyword
    description: PixelDescription | None
    decoded: str | None


def manifest(row_keys: Mapping[Identifier, bytes], layout: FrameLayout | None, pixel_keyword: str | None) -> bytes:
    """The first segment of a sealed original."""
    value = {
        "row_keys": [[key.kind.value, key.value, row.hex()] for key, row in row_keys.items()],
        "layout": layout.to_json() if layout else None,
        "pixel_keyword": pixel_keyword,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def unseal(services: Services, record: InstanceRecord, study_key_of: Callable[[str], bytes] | None = None) -> Original:
    """Open everything of an original but its frames. Raises `SealBroken` for whatever does not authenticate."""
    study_key = (study_key_of or services.study_key)(record.path.study)
    content = record.content
    wanted = (_MANIFEST, _HEAD, content.segments - 1)
    told, head, tail = services.objects.open_segments(study_key, content, wanted)
    facts = json.loads(told)
    elements = reread(head, tail, record.transfer_syntax_uid)
    if first_text(elements, _SOP_INSTANCE_UID) != record.path.instance:
        raise SealBroken("the object is not the one its catalogue row names")
    layout = FrameLayout.from_json(facts["layout"]) if facts["layout"] else None
    description = None
    if layout is not None and not is_video(record.transfer_syntax_uid):
        description = description_of(elements, record.transfer_syntax_uid, facts["pixel_keyword"])
    row_keys = {
        Identifier(kind=IdentifierKind(kind), value=value): bytes.fromhex(row) for kind, value, row in facts["row_keys"]
    }
    return Original(
        record=record,
        elements=elements,
        description=description,
        layout=layout,
        pixel_keyword=facts["pixel_keyword"] or "PixelData",
        row_keys=row_keys,
        regions=_regions(services, study_key, record),
        study_key=study_key,
    )


def unseal_each(services: Services, records: Iterable[InstanceRecord]) -> Iterator[Original]:
    """`unseal` for one record after the other; a study's key is unwrapped once."""
    study_key_of = cache(services.study_key)
    return (unseal(services, record, study_key_of) for record in records)


def described(services: Services, original: Original) -> Described:
    """Look at the first frame too, since a codestream says itself what it decodes to. Raises as `decoded_frame`."""
    description, layout = original.description, original.layout
    decoded = None
    if description is not None and layout is not None and description.data_kind == "integer":
        segment = services.objects.open_segment(original.study_key, original.record.content, _FIRST_FRAME)
        decoded = decoded_photometric(segment, description)
    return Described(
        record=original.record,
        elements=original.elements,
        row_keys=original.row_keys,
        pixel_keyword=original.pixel_keyword,
        description=description,
        decoded=decoded,
    )


def masked_dataset(original: Original, view: View, shared: Shared | None = None) -> MaskedDataset:
    """The attributes as this level shows them; `shared` is one for all objects of an answer."""
    return _masked(original, view.level, view.names(original.record.study, original.row_keys), shared)


def displayed_dataset(original: Original, view: View) -> MaskedDataset:
    """Of `masked_dataset` the attributes by which frames are shown: most of a film's others take longer to mask."""
    return displayed(original.elements, view.level, view.names(original.record.study, original.row_keys))


def sent_dataset(one: Described, level: MaskingLevel, names: Names, shared: Shared) -> MaskedDataset:
    """As `masked_dataset`, with the pixel description of what is sent: decoding can change the form of the frames."""
    masked = _masked(one, level, names, shared)
    if one.description is None or one.decoded is None or _PHOTOMETRIC not in masked.elements:
        return masked
    description, told = as_colors(one.description, one.decoded, level)
    told = _sent_photometric(one.record, level, told, description.bits_allocated)
    form = PixelForm(
        photometric_interpretation=told,
        samples_per_pixel=description.samples_per_pixel,
        bits_allocated=description.bits_allocated,
        bits_stored=description.bits_stored,
        high_bit=description.high_bit,
        signed=description.signed,
    )
    return with_pixel_form(masked, form)


def _sent_photometric(record: InstanceRecord, level: MaskingLevel, decoded: str, bits_allocated: int) -> str:
    """What decoded frames are turned into: at a level that alters no sample they stay what they are."""
    return sent_photometric(decoded, bits_allocated, record.sop_class_uid) if level.alters_samples else decoded


def _masked(one: Original | Described, level: MaskingLevel, names: Names, shared: Shared | None) -> MaskedDataset:
    screened = one.record.screening is ScreeningState.SCREENED
    faces = screened and one.record.faces_sought
    return deidentify(one.elements, level, names, pixels_masked=screened, faces_masked=faces, shared=shared)


def sent_bits(one: Described, level: MaskingLevel) -> int:
    """How many bits a sample that is sent at this level is allocated; 0 for an object without samples."""
    if one.description is None:
        return 0
    return as_colors(one.description, one.description.photometric_interpretation, level)[0].bits_allocated


def decoded_frame(services: Services, original: Original, number: int) -> Frame:
    """Frame `number` (from 1), opened and decoded from its own segment alone; for the masker and the detector only.

    What a codec holds is decoded once, in the child, and from then on read from a sealed fast copy beside the original.

    Raises `NotFound` for a frame that does not exist, `UnsupportedPixels`, `DecodeFailed`, `SealBroken`.
    """
    description, record = original.description, original.record
    if description is None or not worth_copying(description) or not 1 <= number <= description.number_of_frames:
        segment, described, bit_offset = _segment(services, original, number)
        return decode(segment, described, services.decoder, bit_offset=bit_offset)
    packed = services.copies.get(original.study_key, record.content, number)
    if packed is not None:
        return unpack(packed, description)
    segment, described, _ = _segment(services, original, number)
    frame = decode(segment, described, services.decoder)
    services.copies.put(original.study_key, record.content, number, pack(frame))
    return frame


def masked_frame(services: Services, original: Original, level: MaskingLevel, number: int) -> MaskedFrame:
    """Frame `number` as this level shows it: masked on stored values before anything else is done with them.

    Of a frame that is masked from edge to edge nothing is decoded: whether its samples can be is hidden like the rest.
    Raises as `decoded_frame`, and `Busy` where too many are being masked already.
    """
    with services.gate.passed():
        return _masked_frame(services, original, level, number)


def _masked_frame(services: Services, original: Original, level: MaskingLevel, number: int) -> MaskedFrame:
    screened = original.record.screening is ScreeningState.SCREENED
    if hides_all(level, screened=screened):
        segment, description, _ = _segment(services, original, number)
        frame = blank(*as_colors(description, decoded_photometric(segment, description), level))
    else:
        frame = decoded_frame(services, original, number)
        indexed = frame.photometric_interpretation == _INDEXED
        frame = colored(frame, level, original.palette if indexed else None)
    wanted = _sent_photometric(
        original.record, level, frame.photometric_interpretation, frame.description.bits_allocated
    )
    frame = in_photometric(frame, wanted)
    # The same for every request for this frame, unlike for any other frame: what it rounds is told once.
    key = hmac.digest(original.study_key, f"coarse {original.record.row} {number}".encode(), hashlib.sha256)
    # Opened for this answer alone: nobody else holds the samples.
    return redact(frame, original.regions, level, screened=screened, frame_number=number, key=key, consumed=True)


def _image_elements(elements: Elements) -> Elements:
    return {tag: one for tag, one in elements.items() if tag >> 16 == _IMAGE or tag == SPECIFIC_CHARACTER_SET}


def _segment(services: Services, original: Original, number: int) -> tuple[memoryview, PixelDescription, int]:
    description, layout = original.description, original.layout
    if description is None or layout is None:
        raise UnsupportedPixels("the object has no pixel data")
    if not 1 <= number <= description.number_of_frames:
        raise NotFound
    index, bit_offset = layout.segment_of(number)
    segment = services.objects.open_large_segment(original.study_key, original.record.content, _FIRST_FRAME + index)
    return segment, description, bit_offset


def _regions(services: Services, study_key: bytes, record: InstanceRecord) -> tuple[Region, ...]:
    """The current regions of an instance; none before it is screened."""
    found = region_set(services, study_key, record)
    return () if found is None else found.regions


def region_set(services: Services, study_key: bytes, record: InstanceRecord) -> RegionSet | None:
    """The current region set of an instance; None before it is screened. Raises `SealBroken`."""
    if record.regions is None:
        return None
    return decode_regions(services.objects.open_segment(study_key, record.regions, 0))


_THUMBNAIL = {RegionKind.BODY: RegionStyle.KEEP, RegionKind.BACKGROUND: RegionStyle.FLATTEN}


def thumbnail_level(level: MaskingLevel) -> MaskingLevel:
    """The level for a thumbnail: the role's own, but never with text and never unscreened.

    PS3.18 section 10.4.1.1.5: a thumbnail shall not contain any Patient Identifying Information.
    """
    regions = {
        kind: _THUMBNAIL.get(kind, RegionStyle.MOSAIC) if style is RegionStyle.KEEP else style
        for kind, style in level.regions.items()
    }
    unscreened = RegionStyle.MOSAIC if level.unscreened is RegionStyle.KEEP else level.unscreened
    # "Never with text" is every text: technique that the level keeps elsewhere is hidden here too.
    return replace(level, regions=regions, unscreened=unscreened, keep_machine_text=False)
