"""`python tests/benchmarks/soak.py --minutes 10 --clients 16`: a soak over every syntax, multi-frame and malformed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    from soak_kit import STATED, soak

    words = argparse.ArgumentParser(description="Ask a server for everything it has, and watch it.")
    words.add_argument("--minutes", type=float, default=10.0)
    words.add_argument("--clients", type=int, default=16)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        seen = soak(Path(directory), seconds=asked.minutes * 60, clients=asked.clients)
    total = sum(seen.answers.values())
    answers = dict(sorted(seen.answers.items()))
    print(f"{total} answers in {asked.minutes:g} minutes to {asked.clients} clients: {answers}")
    print(f"5xx, as they were told: {dict(seen.failures)}")
    print(f"connections that broke: {dict(seen.broken)}; defects in the log: {len(seen.unexpected)}")
    print(*seen.unexpected[:20], sep="\n")
    quarters = [f"{seen.between(at / 4, (at + 1) / 4) / 1e6:.0f}" for at in range(4)]
    print(f"memory of all web processes at its largest, by quarters: {', '.join(quarters)} MB; died: {seen.died}")
    sys.exit(seen.died or bool(seen.unexpected) or not set(seen.failures) <= STATED)


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]
    main()
