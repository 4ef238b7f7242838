"""Faces in the frames of one film, one after the other: looked for on some frames, hidden on those between too.

A face does not come and go within a few frames unless the picture becomes another one: then it is looked at again. What
is found on one of two frames is hidden on all between them, as far as the face can have moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np

from server.model import Region
from server.screening.findings import checked
from server.screening.picture import Samples, value_range
from server.screening.places import Place, hull, overlap

# So many frames after a look there is another, where the picture moves: of pictures in colour, and of others.
COLOUR, GREY = 8, 32
# The side of the picture that frames are compared by, and of the blocks that are compared.
_SIDE, _BLOCK = 64, 8
# A block that differs by more than this part of the range shows another thing.
_ANOTHER = 0.12
# By so much of its side a face may move between two looks.
_MOVES = 0.25


class FaceFinder(Protocol):
    """Finds the faces of one decoded frame, as `FaceDetector` does."""

    def version(self) -> str: ...

    def find(
        self, samples: Samples, *, frame_number: int, palette: Samples | None = None, palette_first: int = 0
    ) -> list[Region]: ...


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The frame looked at last, small, and half of the range of nearly all of its values (`extent`)."""

    samples: Samples
    small: Samples
    extent: float


@dataclass(frozen=True, kw_only=True)
class _Look:
    """The faces of one frame of so many rows and columns, and the numbers of the frames that equal it, or came after it
    and do not.
    """

    faces: tuple[Region, ...]
    shape: tuple[int, int]
    equal: list[int]
    after: list[int] = field(default_factory=list)


class FaceCine:
    """Takes the decoded frames of one object in order; afterwards knows the faces of all of them."""

    def __init__(self, faces: FaceFinder, palette: Samples | None = None, palette_first: int = 0) -> None:
        """`palette` as in `FaceDetector.find`."""
        self._finder = faces
        self._palette, self._first = palette, palette_first
        self._looks: list[_Look] = []
        self._seen: _Seen | None = None
        self._last: tuple[Samples, int] | None = None

    def add(self, samples: Samples, frame_number: int) -> None:
        """The next frame (rows, columns, samples); kept until the next one has come. Raises `DetectorNonsense`."""
        seen = self._seen
        if seen is None or seen.samples.shape != samples.shape or seen.samples.dtype != samples.dtype:
            self._look(samples, frame_number)
            return
        look = self._looks[-1]
        if np.array_equal(seen.samples, samples):
            look.equal.append(frame_number)
            self._last = None
        elif frame_number - look.equal[0] >= _every(samples, self._palette) or _another(seen, _small(samples)):
            self._look(samples, frame_number)
        else:
            look.after.append(frame_number)
            self._last = samples, frame_number

    def found(self) -> list[Region]:
        """The faces of every frame. Looks at the last one, too, where the picture has moved since."""
        if self._last is not None:
            self._looks[-1].after.pop()
            self._look(*self._last)
        result: list[Region] = []
        for index, look in enumerate(self._looks):
            result += (replace(one, frames=frozenset(look.equal)) for one in look.faces)
            if look.after:
                following = self._looks[index + 1].faces if index + 1 < len(self._looks) else []
                places = _between([*look.faces, *following], *look.shape)
                result += (replace(one, frames=frozenset(look.after)) for one in places)
        return result

    def _look(self, samples: Samples, frame_number: int) -> None:
        rows, columns = samples.shape[:2]
        found = self._finder.find(samples, frame_number=frame_number, palette=self._palette, palette_first=self._first)
        # Before anything is grown or cut: what cannot be must not become what can.
        faces = checked(found, rows, columns, frame_number)
        low, high = value_range(samples[:, :, 0])
        self._looks.append(_Look(faces=faces, shape=(rows, columns), equal=[frame_number]))
        self._seen = _Seen(samples=samples, small=_small(samples), extent=high / 2 - low / 2)
        self._last = None


def _every(samples: Samples, palette: Samples | None) -> int:
    grey = palette is None and all(
        np.array_equal(samples[:, :, 0], samples[:, :, one]) for one in range(1, samples.shape[2])
    )
    return GREY if grey else COLOUR


def _small(samples: Samples) -> Samples:
    """The frame at `_SIDE` samples a side, as floats."""
    values = samples if samples.dtype in (np.uint8, np.uint16, np.int16, np.float32) else samples.astype(np.float64)
    if samples.dtype.kind == "f":
        values = np.nan_to_num(values)
    small = cv2.resize(values, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).reshape(_SIDE, _SIDE, -1)
    return np.asarray(small, np.float64)


def _another(seen: _Seen, after: Samples) -> bool:
    """Whether some block of a small picture shows another thing than the frame looked at last, or cannot be told."""
    with np.errstate(invalid="ignore"):
        blocks = np.abs(after / 2 - seen.small / 2).reshape(_SIDE // _BLOCK, _BLOCK, _SIDE // _BLOCK, _BLOCK, -1)
        return not (blocks.mean(axis=(1, 3)) <= _ANOTHER * seen.extent).all()


def _between(faces: Sequence[Region], rows: int, columns: int) -> Iterator[Region]:
    """Where the faces of two looks are on the frames between them: grown, and joined where they touch."""
    left = [(_grown(one, rows, columns), one) for one in faces]
    while left:
        place, region = left.pop()
        touching = [other for other in left if overlap(place, other[0])]
        if touching:
            left = [other for other in left if not overlap(place, other[0])]
            left.append((hull((place, *(other for other, _ in touching))), region))
            continue
        top, start, bottom, stop = place
        yield replace(region, top_row=top, left_column=start, row_count=bottom - top, column_count=stop - start)


def _grown(region: Region, rows: int, columns: int) -> Place:
    down, across = (int(np.ceil(_MOVES * length)) for length in (region.row_count, region.column_count))
    return (
        max(0, region.top_row - down),
        max(0, region.left_column - across),
        min(rows, region.top_row + region.row_count + down),
        min(columns, region.left_column + region.column_count + across),
    )
