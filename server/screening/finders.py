"""Everything but text that is found frame by frame: faces, banners, what devices are known to draw."""

from __future__ import annotations

from collections.abc import Sequence

from server.model import Region
from server.screening.banners import Banners
from server.screening.devices import DeviceRule, device_regions
from server.screening.face_cines import FaceCine, FaceFinder
from server.screening.facts import Facts
from server.screening.picture import Samples


class FrameFinders:
    """For one object: takes its decoded frames in order, then tells what lies on them."""

    def __init__(
        self,
        facts: Facts,
        rows: int,
        columns: int,
        *,
        faces: FaceFinder,
        devices: Sequence[DeviceRule],
        palette: Samples | None = None,
        palette_first: int = 0,
    ) -> None:
        """The palette as in `FaceDetector.find`."""
        self._faces = FaceCine(faces, palette, palette_first)
        self._banners = Banners(facts.regions, rows, columns)
        self._known = device_regions(devices, facts, rows, columns)

    def frame(self, samples: Samples, frame_number: int) -> None:
        """The next decoded frame (rows, columns, samples)."""
        self._banners.add(samples)
        self._faces.add(samples, frame_number)

    def all_frames(self) -> list[Region]:
        """The regions of every frame, once all have been seen."""
        return [*self._known, *self._banners.found(), *self._faces.found()]
