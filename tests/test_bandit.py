"""bandit over the whole program: nothing but what is argued, and nothing switched off in the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bandit_table import EXCEPTIONS, differences

ROOT = Path(__file__).resolve().parents[1]


def complaints(*where: Path) -> Counter[tuple[str, str]]:
    """(rule, file) of every complaint about the files below these places."""
    words = [sys.executable, "-m", "bandit", "--quiet", "--format", "json", "--recursive", *map(str, where)]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    told = json.loads(run.stdout)
    assert told["errors"] == []
    return Counter((one["test_id"], one["filename"]) for one in told["results"])


def test_nothing_is_complained_about_that_is_not_argued() -> None:
    assert differences(complaints(Path("server"))) == []


def test_nothing_is_switched_off_in_the_code() -> None:
    files = [*(ROOT / "server").rglob("*.py")]
    assert len(files) > 100
    assert [path.name for path in files if re.search(r"#\s*nosec", path.read_text("utf-8"))] == []
    assert all(len(one.reason) > 10 for one in EXCEPTIONS)


def test_a_complaint_that_nobody_argued_is_seen(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import subprocess\nsubprocess.run('ls', shell=True)\n")
    found = complaints(tmp_path)
    assert ("B602", str(tmp_path / "bad.py")) in found
    assert any("not argued" in one for one in differences(found))
    assert "B305 in server/metadata/pseudonyms.py is gone" in differences(found)
