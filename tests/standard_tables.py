"""`dicom-validator` on the tables of the package `dicom-standard`: that one reads the standard's DocBook from the
network, this one has an edition of it (2020) as JSON. Both are MIT. Conditions are parsed by the validator itself.
"""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping
from html import unescape
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pydicom


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _standard() -> Path | None:
    """The folder of the JSON edition, where both packages are installed."""
    if not (_installed("dicom-standard") and _installed("dicom-validator")):
        return None
    files = distribution("dicom-standard").files or []
    found = [Path(str(one.locate())) for one in files if one.name == "module_to_attributes.json"]
    return found[0].parent if found else None


STANDARD = _standard()
_MARKUP = re.compile(r"<[^>]+>")
_LIST = re.compile(r"<strong>Enumerated Values:?</strong>(.*?)</dl>", re.DOTALL)
_TERM = re.compile(r"<dt>\s*<span[^>]*>(.*?)</span>\s*</dt>", re.DOTALL)
_FUNCTIONAL_GROUPS = ("(5200,9229)", "(5200,9230)")


def _text(html: str | None) -> str:
    return " ".join(unescape(_MARKUP.sub(" ", html or "")).split())


class StandardTables:
    """The tables, read once, and the validator's judgement by them."""

    def __init__(self, folder: Path) -> None:
        ConditionParser = import_module("dicom_validator.spec_reader.condition_parser").ConditionParser  # noqa: N806

        def load(name: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text("utf-8"))
            return found

        self.dictionary = {
            one["tag"]: {
                "name": one["name"],
                "vr": one["valueRepresentation"].split(" or ")[0],
                "vm": one["valueMultiplicity"],
                "prop": "",
            }
            for one in load("attributes")
        }
        self.parser = ConditionParser(self.dictionary)
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for kind, name in (("module", "module_to_attributes"), ("macro", "macro_to_attributes")):
            for row in load(name):
                self.rows[f"{kind}:{row[f'{kind}Id']}"].append(row)
        self.uses = [*load("ciod_to_modules"), *load("ciod_to_fg_macros")]
        names = {one["name"]: one["id"] for one in load("ciods")}
        self.iods = {one["id"]: names.get(one["ciod"]) for one in load("sops")}
        self.known: dict[str, Any] = {}

    def places(self, body: bytes) -> set[str]:
        """Module and attribute of everything that the validator finds wrong; nothing for a SOP class without table."""
        IODValidator = import_module("dicom_validator.validator.iod_validator").IODValidator  # noqa: N806
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            film = pydicom.dcmread(io.BytesIO(body))
            info = self._info(str(film.SOPClassUID))
            if info is None:
                return set()
            logging.disable(logging.CRITICAL)
            try:
                result = IODValidator(film, info).validate()
            finally:
                logging.disable(logging.NOTSET)
        found = (result.module_errors or {}).items()
        return {f"{module} {tag}" for module, errors in found for tag in errors}

    def _info(self, sop_class: str) -> Any:
        DicomInfo = import_module("dicom_validator.validator.dicom_info").DicomInfo  # noqa: N806
        iod = self.iods.get(sop_class)
        if iod is None:
            return None
        if iod not in self.known:
            modules: dict[str, Any] = {}
            uses: dict[str, dict[str, Any]] = {"module": {}, "macro": {}}
            for use in (use for use in self.uses if use["ciodId"] == iod):
                kind = "module" if "moduleId" in use else "macro"
                name = use[f"{kind}Id"]
                modules[f"{kind}:{name}"] = self._module(f"{kind}:{name}")
                uses[kind][name] = {"ref": f"{kind}:{name}", "use": use["usage"]}
                if use["usage"] != "M":
                    said = self.parser.parse(f"{use['usage']} - {_text(use['conditionalStatement'])}")
                    uses[kind][name]["cond"] = said.result_dict()
            iods = {"title": iod, "modules": uses["module"], "group_macros": uses["macro"]}
            self.known[iod] = iods, modules
        iods, modules = self.known[iod]
        return DicomInfo(self.dictionary, {sop_class: iods}, modules)

    def _module(self, key: str) -> Mapping[str, Any]:
        out: dict[str, Any] = {}
        by_path: dict[str, dict[str, Any]] = {}
        for row in sorted(self.rows[key], key=lambda row: str(row["path"]).count(":")):
            above, _, _ = str(row["path"]).rpartition(":")
            parent = by_path.get(above)
            if ":" in above and parent is None:
                continue
            entry = by_path[row["path"]] = self._attribute(row)
            (out if parent is None else parent.setdefault("items", {}))[row["tag"]] = entry
        return out

    def _attribute(self, row: Mapping[str, Any]) -> dict[str, Any]:
        ConditionType = import_module("dicom_validator.spec_reader.condition").ConditionType  # noqa: N806
        described, tag = _text(row["description"]), row["tag"]
        entry: dict[str, Any] = {"name": self.dictionary.get(tag, {}).get("name", ""), "type": row["type"]}
        if row["type"] in ("1C", "2C", "3"):
            condition = self.parser.parse(described)
            if condition.type != ConditionType.UserDefined:
                entry["cond"] = condition.result_dict()
        values = [_text(term) for one in _LIST.findall(row["description"]) for term in _TERM.findall(one)]
        if values and self.dictionary.get(tag, {}).get("vr") == "CS" and "Value 2" not in described:
            entry["enums"] = [{"val": values}]
        if tag in _FUNCTIONAL_GROUPS:
            entry["items"] = {"include": [{"ref": "FuncGroup"}]}
        return entry
