"""Everything but text that is found frame by frame: faces, banners, what devices are known to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.model import Region
from server.screening.banners import Banners
from server.screening.devices import DeviceRule, device_regions
from server.screening.facts import Facts
from server.screening.picture import Samples


class FaceFinder(Protocol):
    """Finds the faces of one decoded frame, as `FaceDetector` does."""

    def version(self) -> str: ...

    def find(
        self, samples: Samples, *, frame_number: int, palette: Samples | None = None, palette_first: int = 0
    ) -> list[Region]: ...


class FrameFinders:
    """For one object: takes its decoded frames in order, then tells what lies on all of them."""

    def __init__(
        self, facts: Facts, rows: int, columns: int, *, faces: FaceFinder, devices: Sequence[DeviceRule]
    ) -> None:
        self._faces = faces
        self._banners = Banners(facts.regions, rows, columns)
        self._known = device_regions(devices, facts, rows, columns)

    def frame(
        self, samples: Samples, *, frame_number: int, palette: Samples | None = None, palette_first: int = 0
    ) -> list[Region]:
        """The regions of one decoded frame (rows, columns, samples) alone; the palette as in `FaceDetector.find`."""
        self._banners.add(samples)
        return self._faces.find(samples, frame_number=frame_number, palette=palette, palette_first=palette_first)

    def all_frames(self) -> list[Region]:
        """The regions of every frame, once all have been seen."""
        return [*self._known, *self._banners.found()]
