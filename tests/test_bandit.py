"""bandit over the whole program: nothing but what is argued; and `make audit` asks about all that is locked."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bandit_table import EXCEPTIONS, differences
from locked import locked

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


def test_the_audit_asks_about_all_that_is_locked() -> None:
    """Without asking: that wants a service outside."""
    (recipe,) = re.findall(r"^audit: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    words = shlex.split(recipe.replace("\\\n", " ").replace("$(VENV)", ".venv").replace("$(SERVICE)", "pypi"))
    assert words[:2] == [".venv/bin/pip-audit", "--strict"]
    audit = [sys.executable, "-m", "pip_audit", *words[1:], "--dry-run"]
    told = subprocess.run(audit, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT).stderr
    found = re.search(r"would have audited (\d+) packages", told)
    assert found, told
    assert int(found[1]) == len(locked())


def test_a_complaint_that_nobody_argued_is_seen(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import subprocess\nsubprocess.run('ls', shell=True)\n")
    found = complaints(tmp_path)
    assert ("B602", str(tmp_path / "bad.py")) in found
    assert any("not argued" in one for one in differences(found))
    assert "B305 in server/metadata/pseudonyms.py is gone" in differences(found)
