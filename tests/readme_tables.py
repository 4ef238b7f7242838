"""The generated parts of the README: `python tests/readme_tables.py --write` puts them in, a test compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from checklist import table as checklist_table
from ps315_cases import table as ps315_table

from server.conformance import markdown as conformance_table
from server.policy.bundle import load
from server.policy.describe import levels_table, objects_table, roles_table

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def generated(text: str) -> str:
    """The README with its tables made anew: levels and roles from the policy, the rest from tests' data and code."""
    bundle = load(ROOT / "policies")
    tables = {
        "levels": levels_table(bundle),
        "carriers": objects_table(bundle),
        "roles": roles_table(bundle),
        "ps315": ps315_table(),
        "conformance": conformance_table(),
        "checklist": checklist_table(),
    }
    for name, table in tables.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the README has no place for {name}")
        text = f"{before}{start}{table.strip()}\n{end}{after}"
    return text


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/readme_tables.py --write")
    README.write_text(generated(README.read_text("utf-8")), "utf-8")
