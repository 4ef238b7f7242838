"""The house rules hold on the real source, and each one complains about source that breaks it on purpose."""

from __future__ import annotations

import ast
import subprocess
import sys

import house_rules as rules
import pytest
from house_rules import ROOT, Rule, read_house
from locked import declared, is_gpl, locked, needed_at_run_time

HOUSE = read_house()
# Per rule: modules to add to the real house (or to put in another's place), each of which it has to name.
BROKEN: dict[Rule, dict[str, str]] = {
    rules.imports_point_down: {
        "server.vault.objects": "from server.services import Services",
        "server.audit.show": "import server.retrieve",
        "server.model.records": "from server.policy import decide",
        "server.retrieve": "from server.web.answer import Route",
        "server.services": "def later():\n    from server import record",
    },
    rules.no_cycles: {"server.pixels.frame": "from server.pixels.decode import decode"},
    rules.imports_stand_at_the_top: {
        "server.record": "def answer():\n    from server import search",
        "server.screen": "try:\n    import cv2\nexcept ImportError:\n    cv2 = None",
        "server.catalog.reads": "import importlib\nrecords = importlib.import_module('server.vault.rows')",
        "server.pixels.render": "from .frame import Frame",
    },
    rules.stages_are_strangers: {
        "server.metadata.deidentify": "from server.pixels.redact import redact",
        "server.auth.claims": "import server.policy.words",
    },
    rules.libraries_stay_at_home: {
        "server.retrieve": "from flask import request",
        "server.search": "import sqlalchemy as sa",
        "server.commands.demo": "from werkzeug.serving import run_simple",
        "server.web.page": "from alembic import command",
    },
    rules.pure_inside: {
        "server.policy.decide": "import time",
        "server.pixels.redact": "import numpy as np\nnoise = np.random.normal()",
        "server.metadata.values": "from datetime import datetime\nwhen = datetime.now()",
        "server.auth.tokens": "import requests",
        "server.vault.envelope": "from os import urandom",
        "server.policy.levels": "text = open('levels.toml').read()",
        "server.catalog.register": "import secrets",
    },
    rules.encoders_take_only_masked: {
        "server.pixels.encode": "def encode_png(picture: Frame) -> bytes: ...",
        "server.metadata.write": "def write(dataset, syntax) -> Iterator[bytes]: ...",
        "server.metadata.json_model": "def to_json(elements: Elements | MaskedDataset) -> dict[str, object]: ...",
    },
    rules.only_maskers_make: {
        "server.develop": "def frame(original):\n    return MaskedFrame(samples=original.samples)",
        "server.pixels.encode": "picture = render.MaskedPicture(pixels=pixels, maker=None)",
        "server.metadata.marks": "from server.metadata.masked import _WORKSHOP",
        "server.rendered": "object.__setattr__(masked, 'samples', original)",
        "server.represent": "masked = MaskedDataset.__new__(MaskedDataset)",
    },
    rules.originals_stay_in_the_darkroom: {
        "server.rendered": "from server.develop import decoded_frame",
        "server.retrieve": "from server.pixels.decode import decode",
        "server.search": "from server.metadata.json_model import elements_to_json",
        "server.rows": "from server.metadata.masked import masked_dataset",
        "server.metadata.view": "from server.metadata.masked import masked_dataset",
    },
    rules.web_knows_no_film: {
        "server.web.page": "from server.catalog.catalog import Catalog",
        "server.web.wado": "from server.vault import objects",
        "server.web.dicomweb": "import server.pixels.render",
        "server.web.answer": "from server.develop import unseal",
    },
    rules.the_demo_stays_apart: {
        "server.commands.serve": "from server.demo.users import mint_token",
        "server.web.app": "import server.demo.provider",
    },
    rules.nothing_is_swallowed: {
        "server.develop": "try:\n    mask()\nexcept Exception:\n    pass",
        "server.record": "try:\n    append()\nexcept:\n    pass",
        "server.screen": "try:\n    find()\nexcept (ValueError, BaseException):\n    regions = []",
        "server.policy.rules": "with contextlib.suppress(Exception):\n    ask()",
    },
    rules.no_default_permits: {
        "server.pixels.redact": "style = level.regions.get(kind, RegionStyle.KEEP)",
        "server.metadata.deidentify": "def deidentify(elements, *, pixels_masked=True): ...",
        "server.model.decisions": "class MaskingLevel:\n    pseudonyms: bool = False",
        "server.catalog.records": "state = found or ScreeningState.SCREENED",
        "server.policy.decide": "try:\n    ask()\nexcept ValueError:\n    decision = Permit(level=lowest)",
    },
    rules.modules_are_small: {"server.retrieve": "x = 1\n" * 301},
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    assert rule(HOUSE) == []


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [(rule, module, source) for rule, broken in BROKEN.items() for module, source in broken.items()],
    ids=lambda value: value.__name__ if callable(value) else str(value)[:40],
)
def test_broken_on_purpose(rule: Rule, module: str, source: str) -> None:
    complaints = rule({**HOUSE, module: ast.parse(source)})
    assert any(module in complaint for complaint in complaints)


def test_every_rule_is_broken_on_purpose() -> None:
    defined = {
        value
        for name, value in vars(rules).items()
        if callable(value) and getattr(value, "__annotations__", {}).get("return") == "list[str]"
    }
    assert defined == set(BROKEN)


def test_the_picture_names_every_room() -> None:
    """A new package is a stage or a shell: it has to be put into the picture before it can hold anything."""
    packages = {rules.room(name) for name in HOUSE if name.count(".") > 1}
    assert packages == rules.STAGES | {"model"} | {"web", "demo", "commands"}


def loaded_by(statement: str) -> set[str]:
    """The modules of the house that a fresh interpreter holds after a statement."""
    shown = "import sys; print(*(name for name in sys.modules if name.split('.')[0] == 'server'))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{shown}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(ran.stdout.split())


def test_serve_never_loads_the_demo() -> None:
    served = loaded_by("import server.cli, server.commands.serve")
    assert {"server.web.app", "server.services"} <= served
    assert not {name for name in served if name.startswith("server.demo")}
    assert "server.demo.users" in loaded_by("import server.commands.token")


def test_serve_forbids_the_demo() -> None:
    """After `serve` has read its settings, an import of the provider fails even from code that tries."""
    script = """
import server.commands.serve as serve
serve.read_settings = lambda environment: None
serve.check_production = lambda settings: settings
class Reached(BaseException): ...
def open_services(*_, **__): raise Reached
serve.open_services = open_services
try: serve.command.callback()
except Reached: pass
try: import server.demo.provider
except ModuleNotFoundError: print('refused')
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "refused\n"


def test_no_gpl_at_run_time() -> None:
    licences = {name: declared(one) for name, one in needed_at_run_time().items()}
    assert {"flask", "werkzeug", "imagecodecs", "openvino", "pydicom"} <= set(licences)
    assert [name for name, licence in licences.items() if is_gpl(licence)] == []
    assert [name for name, licence in licences.items() if not licence] == []
    assert not locked() & {"pylibjpeg-libjpeg", "gdcm", "python-gdcm"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPL-3.0-or-later", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("AGPL-3.0", True),
        ("LGPL-2.1", False),
        ("GNU Lesser General Public License", False),
        ("MIT AND (Apache-2.0 OR BSD-2-Clause)", False),
    ],
)
def test_a_gpl_is_seen(text: str, expected: bool) -> None:
    assert is_gpl([text]) is expected
