"""All that looks at a film, as one: what they are together is the version that is stored with every region set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from server.model import Region
from server.screening.compiled import Compiled
from server.screening.face_cines import FaceFinder
from server.screening.faces import FaceDetector
from server.screening.heads import HeadFinder
from server.screening.lines import Box
from server.screening.picture import Samples
from server.screening.reader import Reader
from server.screening.residual import ResidualDetector
from server.screening.series import SeriesHeads
from server.screening.template import head_template
from server.screening.text import TextDetector


class TextFinder(Protocol):
    """Finds the text of one decoded frame, as `TextDetector` does."""

    def version(self) -> str: ...

    def find(
        self, samples: Samples, *, frame_number: int, palette: Samples | None = None, palette_first: int = 0
    ) -> list[Region]: ...


class TextGlance(Protocol):
    """Tells where text may be, as `TextDetector.glance` does."""

    def __call__(
        self,
        samples: Samples,
        *,
        before: Samples | None = None,
        palette: Samples | None = None,
        palette_first: int = 0,
    ) -> list[Box]: ...


class ResidualFinder(Protocol):
    """Reads a masked frame outside of what is hidden, as `ResidualDetector` does."""

    def version(self) -> str: ...

    def find(
        self,
        samples: Samples,
        *,
        hidden: Sequence[tuple[int, int, int, int]],
        frame_number: int,
        palette: Samples | None = None,
        palette_first: int = 0,
    ) -> list[Region]: ...


@dataclass(frozen=True, kw_only=True)
class Detectors:
    """One of each, for one thread. Without `glance` every change between frames is looked at."""

    text: TextFinder
    residual: ResidualFinder
    faces: FaceFinder
    heads: SeriesHeads
    glance: TextGlance | None = None

    def version(self) -> str:
        """Detectors and configurations; a region set with another one is made anew."""
        return "+".join(one.version() for one in (self.text, self.residual, self.faces, self.heads))


def load(threads: int = 1) -> Detectors:
    """The detectors with their pinned weights. Raises `ConfigurationError` when one is missing or another."""
    # The template first: making it takes memory that nothing else holds yet.
    heads = HeadFinder(head_template())
    compiled, reader = Compiled(), Reader(threads=threads)
    text = TextDetector(threads=threads, compiled=compiled, reader=reader)
    return Detectors(
        text=text,
        glance=text.glance,
        residual=ResidualDetector(threads=threads, compiled=compiled, reader=reader),
        faces=FaceDetector(threads=threads, compiled=compiled),
        heads=SeriesHeads(heads),
    )
