"""What the process of `safelight serve` has in memory, and what it can't get there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from processes import safelight

_PROBE = """
import importlib, sys
import server.web.serving as serving
from server.cli import main

def look(self):
    app = self.load()
    print("loaded:", sorted(name for name, found in sys.modules.items() if name.startswith("server.demo") and found))
    for name in ("server.demo", "server.demo.users", "server.demo.provider", "server.demo.mount"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        print("imported:", name)
    print("routes:", [rule.rule for rule in app.url_map.iter_rules() if "provider" in rule.rule])

serving.Server.run = look
sys.argv = ["safelight", "serve"]
main()
"""


def test_serve_cannot_import_the_demo(tmp_path: Path) -> None:
    """At the moment it begins to serve, nothing of the demo is loaded, and nothing can load it."""
    env = {
        "SAFELIGHT_DATA": str(tmp_path / "data"),
        "SAFELIGHT_KEYRING": str(tmp_path / "keys" / "keyring.json"),
        "SAFELIGHT_ISSUER": "https://login.example.org",
        "SAFELIGHT_AUDIENCE": "https://films.example.org",
        "SAFELIGHT_PUBLIC_URL": "https://films.example.org",
    }
    made = safelight("init", env=env)
    assert made.returncode == 0, made.stderr
    probe = [sys.executable, "-c", _PROBE]
    seen = subprocess.run(probe, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert seen.stdout.splitlines() == ["loaded: []", "routes: []"], seen.stdout + seen.stderr
