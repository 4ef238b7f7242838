"""Look at a series as a volume: every instance is screened knowing where the head lies in all that has come in so far.

What was screened without knowing an instance that came later is screened again, if that changes what is known of the
head. Until then the later instance, which is pending, is wholly masked like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pydicom.dataset import Dataset

from server.develop import Original, decoded_frame, unseal
from server.errors import DecodeFailed, NotFound, SealBroken, UnsupportedPixels
from server.metadata.view import to_pydicom
from server.model import InstanceRecord, Region, ReviewReason, ScreeningState
from server.pixels.frame import values
from server.screening.anatomy import says_head
from server.screening.heads import LEAST_SLICES
from server.screening.series import SeriesHeads
from server.screening.volume import Geometry, Slice, geometry, small_slice
from server.services import Services

# CT, MR and PET, the enhanced ones and those made of older ones too: slices, whatever they say of their place.
_SLICES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130")
)
_IMAGE_POSITION = 0x00200032
_GEOMETRY = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")


@dataclass(frozen=True, kw_only=True)
class Heads:
    """The head surface on the frames of one original. `sought`: nobody had to look for it, or somebody did."""

    regions: tuple[Region, ...]
    sought: bool


def head_regions(
    services: Services,
    heads: SeriesHeads,
    original: Original,
    between_frames: Callable[[], None],
    review: Callable[[ReviewReason], None],
) -> Heads:
    """The head surface on the frames of one original, as part of its series.

    `review` is told where a head may be seen whose face was not found: a slice that does not say where it lies may be
    one. Screened instances of the series that did not know what is known now are put back into the queue.
    """
    record = original.record
    own = places(original)
    if _unplaced(original, own):
        review(ReviewReason.HEAD_WITHOUT_FACE)
    if not own:
        return Heads(regions=(), sought=True)
    siblings = services.catalog.instances_of(record.path.study, record.path.series)
    few = sum(max(1, one.number_of_frames) for one in siblings) < LEAST_SLICES
    series = record.series.row
    waiting = set(heads.missing(series, [one.row for one in siblings]))
    for sibling in siblings:
        if sibling.row in waiting:
            opened = original if sibling.row == record.row else None
            heads.put(series, sibling.row, _slices(services, sibling, opened, between_frames))
    # One that is looked at again, because detectors have changed, says nothing new of the others.
    if heads.judge(series) and record.screening is ScreeningState.PENDING:
        doubted = heads.doubted(series)
        for sibling in siblings:
            if sibling.row != record.row and _outdated(sibling, doubted) and heads.outgrown(series, sibling.row):
                services.catalog.look_again(sibling.row, services.clock())
    regions, uncertain = heads.of_instance(
        series, record.row, own, said=_sliced(original) and says_head(to_pydicom(original.elements))
    )
    if uncertain:
        review(ReviewReason.HEAD_WITHOUT_FACE)
    return Heads(regions=tuple(regions), sought=not few)


def _outdated(record: InstanceRecord, doubted: Collection[str]) -> bool:
    """Whether what has become known of a series, `doubted` instances of it above all, can change one's outcome."""
    if record.screening is ScreeningState.IN_REVIEW and record.review is ReviewReason.HEAD_WITHOUT_FACE:
        return record.row not in doubted
    return record.screening is ScreeningState.SCREENED


def _sliced(original: Original) -> bool:
    return original.record.sop_class_uid in _SLICES or _IMAGE_POSITION in original.elements


def places(original: Original) -> dict[int, Geometry]:
    """Where the frames of an original lie, by number; those that do not say it are left out."""
    description = original.description
    if description is None:
        return {}
    dataset = to_pydicom(original.elements)
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    each = dataset.get("PerFrameFunctionalGroupsSequence") or []
    found = {}
    for number in range(1, description.number_of_frames + 1):
        own = each[number - 1] if number <= len(each) else Dataset()
        groups = [_first(own, name) or _first(shared, name) or dataset for name in _GEOMETRY]
        said = [
            group.get(name) or ()
            for group, name in zip(
                groups, ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"), strict=True
            )
        ]
        numbers = [[float(value) for value in one] for one in said]
        where = geometry(numbers[0], numbers[1], numbers[2], description.rows, description.columns)
        if where is not None:
            found[number] = where
    return found


def _unplaced(original: Original, own: Mapping[int, Geometry]) -> bool:
    """Whether a frame that has to say where it lies, or tries to, does not say it."""
    if original.description is None or len(own) == original.description.number_of_frames:
        return False
    return _sliced(original)


def _slices(
    services: Services, record: InstanceRecord, opened: Original | None, between_frames: Callable[[], None]
) -> dict[int, Slice]:
    """The small pictures of one instance; none of one that cannot be opened, which is masked for that by itself."""
    found = {}
    try:
        original = opened or unseal(services, record)
        for number, where in places(original).items():
            frame = decoded_frame(services, original, number)
            if original.description is not None:
                found[number] = small_slice(values(frame.samples, original.description), where)
            between_frames()
    except (DecodeFailed, UnsupportedPixels, SealBroken, NotFound):
        if opened is not None:
            raise
    return found


def _first(dataset: Dataset, keyword: str) -> Dataset:
    items = dataset.get(keyword)
    return items[0] if items else Dataset()
