"""`python tests/asvs.py --write`: the checklist of OWASP ASVS 5.0.0, levels 1 and 2, from asvs.txt into asvs.md.

The requirements are told in our own words; theirs are at https://github.com/OWASP/ASVS under the same numbers.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE, PAGE = HERE / "asvs.txt", HERE / "asvs.md"
STATES = ("met", "n/a", "open")
CHAPTERS = (
    "Encoding and sanitisation", "Validation and business logic", "Web front end", "API and web service", "Files",
    "Authentication", "Sessions", "Authorization", "Self-contained tokens", "OAuth and OpenID Connect", "Cryptography",
    "Communication", "Configuration", "Data protection", "Code and architecture", "Logging and errors", "WebRTC",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Item:
    """One requirement: `why` is the evidence where it is met, else the reason."""

    number: str
    level: int
    asks: str
    state: str
    why: str

    @property
    def chapter(self) -> int:
        return int(self.number.removeprefix("V").partition(".")[0])

    @property
    def evidence(self) -> tuple[str, ...]:
        """Tests (`file::function`) or whole files of tests, below the directory of tests."""
        return tuple(self.why.split()) if self.state == "met" else ()


def items(text: str) -> list[Item]:
    """Raises `ValueError` for a line that is none."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            number, level, asks, state, why = (part.strip() for part in line.split(" | "))
            if state not in STATES or not why:
                raise ValueError(f"{number} is neither met, nor does it say why not")
            found.append(Item(number=number, level=int(level), asks=asks, state=state, why=why))
    return found


def page(found: Sequence[Item]) -> str:
    """The checklist as Markdown, what is open first."""
    counted = Counter((item.level, item.state) for item in found)
    lines = [
        "# OWASP ASVS 5.0.0, levels 1 and 2",
        "",
        "Made from `asvs.txt` by `python tests/asvs.py --write`. The numbers are the standard's, the words are ours.",
        "",
        "| level | met | not applicable | open | all |",
        "|---|---:|---:|---:|---:|",
    ]
    for level in sorted({item.level for item in found}):
        row = [counted[level, state] for state in STATES]
        lines.append(f"| {level} | {' | '.join(map(str, row))} | {sum(row)} |")
    lines += ["", "## Open", "", "| | level | asks | why |", "|---|---|---|---|"]
    lines += [f"| {one.number} | {one.level} | {one.asks} | {one.why} |" for one in found if one.state == "open"]
    for chapter, members in groupby(found, key=lambda item: item.chapter):
        lines += ["", f"## V{chapter} {CHAPTERS[chapter - 1]}", ""]
        lines += ["| | level | asks | state | evidence, or why |", "|---|---|---|---|---|"]
        for one in members:
            why = " ".join(f"`{test}`" for test in one.evidence) or one.why
            lines.append(f"| {one.number} | {one.level} | {one.asks} | {one.state} | {why} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    made = page(items(TABLE.read_text("utf-8")))
    if "--write" in sys.argv:
        PAGE.write_text(made, "utf-8")
    sys.exit(made != PAGE.read_text("utf-8"))
