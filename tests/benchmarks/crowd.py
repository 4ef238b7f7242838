"""`python tests/benchmarks/crowd.py --seconds 60 --clients 200`: a crowd of every role, and whether answers cross."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

HERE = Path(__file__).resolve().parent


def main() -> None:
    from crowd_kit import crowd

    words = argparse.ArgumentParser(description="Let a crowd ask, and look at whose answers they get.")
    words.add_argument("--seconds", type=float, default=60.0)
    words.add_argument("--clients", type=int, default=200)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        seen = crowd(Path(directory), seconds=asked.seconds, clients=asked.clients)
    statuses = Counter[int]()
    for (_, status), number in seen.answers.items():
        statuses[status] += number
    print(f"{seen.total} answers in {asked.seconds:g} s to {asked.clients} clients of {len(seen.roles)} roles")
    print(f"by status: {dict(sorted(statuses.items()))}")
    print(f"wait: median {median(seen.waits):.2f} s, 99 of 100 below {quantiles(seen.waits, n=100)[98]:.2f} s")
    print(f"crossed: {len(seen.crossed)}; read what is hidden from them: {len(seen.leaked)}; asked again: {seen.again}")
    print(f"failures: {dict(seen.failures)}")
    print(*seen.crossed[:20], *seen.leaked[:20], sep="\n")
    sys.exit(bool(seen.crossed or seen.leaked or seen.failures))


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]
    main()
