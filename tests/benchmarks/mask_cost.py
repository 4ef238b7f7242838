"""What masking costs a request: `python tests/benchmarks/mask_cost.py`. CPU milliseconds, the least of many runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    HERE = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(HERE), str(HERE / "pixels"), str(HERE.parent)]

import numpy as np
from pixel_kit import BASE, FORMATS, frame, level

from server.model import MaskingLevel, Region, RegionKind, RegionStyle
from server.pixels.frame import Frame
from server.pixels.redact import redact

ROWS, COLUMNS = 3000, 2500
PLACES = ((40, 40), (40, 1800), (120, 40), (2800, 40), (2850, 1700), (1500, 100))
REGIONS = tuple(
    Region(kind=RegionKind.TEXT, top_row=top, left_column=left, row_count=60, column_count=600) for top, left in PLACES
)


def film(name: str = "") -> Frame:
    """A film of 2500 x 3000 noise, 12 bits in 16 unless another form is named."""
    described = replace(FORMATS[name] if name else BASE, rows=ROWS, columns=COLUMNS)
    shape = (ROWS, COLUMNS, described.samples_per_pixel)
    most = 1 << min(described.bits_stored, 30)
    samples = np.random.default_rng(1).integers(0, most, shape).astype(described.dtype)
    return frame(samples, described)


def milliseconds(what: Callable[[], object], runs: int = 40) -> float:
    """CPU time of the quickest of many runs, as the others wait for somebody else's work."""
    taken = []
    for _ in range(runs):
        began = time.process_time()
        what()
        taken.append(time.process_time() - began)
    return min(taken) * 1000


def cost(one: Frame, at: MaskingLevel) -> tuple[float, float]:
    """Milliseconds of masking six regions, and of the clearing of unused bits that it begins with.

    The frame is consumed, as a request does it with what it has opened: drawn over a second time it costs the same.
    """
    said: dict[str, Any] = {"screened": True, "frame_number": 1, "key": b"key", "consumed": True}
    whole = milliseconds(lambda: redact(one, REGIONS, at, **said))
    return whole, milliseconds(lambda: redact(one, (), at, **said))


def main() -> None:
    styles = {style: level(regions=dict.fromkeys(RegionKind, style)) for style in RegionStyle}
    print(f"{COLUMNS} x {ROWS}, six regions of 600 x 60; CPU ms: all, of which clearing, drawing alone")
    for name in ("", "grey 8", "grey 16", "rgb 8"):
        one = film(name)
        for style in (RegionStyle.MOSAIC, RegionStyle.FILL, RegionStyle.COARSE):
            whole, clearing = cost(one, styles[style])
            print(f"{name or 'grey 12 in 16':15} {style:8} {whole:6.2f} {clearing:6.2f} {whole - clearing:6.2f}")


if __name__ == "__main__":
    main()
