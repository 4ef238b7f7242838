"""`python tests/benchmarks/store_stream.py [GIGABYTES]`: stores one object of that size (2), as a stream."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    from large_store import FRAME_BYTES, store

    wanted = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    frames = int(wanted * 1e9) // FRAME_BYTES
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        found = store(Path(directory), frames, limit=int(wanted * 1e9) + (1 << 26))
    size = frames * FRAME_BYTES
    print(
        f"{size / 1e9:.2f} GB in {frames} frames: {found.status}, {found.seconds:.1f} s "
        f"({size / 1e6 / found.seconds:.0f} MB/s); the worker had {found.rest / 1e6:.0f} MB at rest "
        f"and {(found.rest + found.grown) / 1e6:.0f} MB at its peak"
    )
    sys.exit(found.status != 200)


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]
    main()
