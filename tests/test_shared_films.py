"""Additional films, where a developer has some: through the whole server, at every level, none says what is hidden.

`SAFELIGHT_SHARED_DATA` says where they are; without it there are none, and nothing to look for.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from house import House

from server.errors import SafelightError
from server.metadata.charset import DEFAULT
from server.metadata.elements import Elements, character_sets, texts
from server.metadata.identifiers import patient_identity, well_known
from server.metadata.part10 import read
from server.metadata.vocabulary import WORDS
from server.model import ElementAction, MaskingLevel

ROOT = os.environ.get("SAFELIGHT_SHARED_DATA", "")
FOLDERS = ("headers", "charsets", "syntaxes", "burned-in")
FILMS = [path for folder in FOLDERS for path in sorted((Path(ROOT) / folder).rglob("*.dcm"))] if ROOT else []
JSON = "application/dicom+json"
LEVELS = {
    "clinician": "original",
    "researcher": "deidentified",
    "teacher": "teaching",
    "front-desk": "front-desk",
    "patient": "patient",
}
# Beside everything with VR PN or UI.
IDENTIFYING = frozenset({
    0x00080050, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00100020, 0x00100021, 0x00100030, 0x00101000,
    0x00101040, 0x00102154, 0x00181000, 0x00200010, 0x00380010, 0x00400009, 0x00401001,
})  # fmt: skip
WORD = re.compile(r"[^\W\d_]{4,}")
SHOWN = frozenset({ElementAction.KEEP})


def values(elements: Elements, sets: tuple[str, ...] = DEFAULT) -> Iterator[tuple[int, str, str]]:
    """Tag, VR and text of every value that identifies, at any depth."""
    sets = character_sets(elements, sets)
    for tag, element in elements.items():
        for item in element.items or ():
            yield from values(item, sets)
        if element.vr in ("PN", "UI") or tag in IDENTIFYING:
            yield from ((tag, element.vr, value) for value in texts(element, sets) if not well_known(value))


def hidden(elements: Elements, level: MaskingLevel) -> tuple[set[str], set[str]]:
    """What no answer at this level may hold: values as a whole, and of names each word that is not a common one."""
    rules = level.elements
    whole: dict[bool, set[str]] = {True: set(), False: set()}
    words: set[str] = set()
    for tag, vr, value in values(elements):
        action = rules.private if tag & 0x00010000 else rules.by_tag.get(tag, rules.default)
        shown = action in SHOWN and (vr != "UI" or not level.pseudonyms)
        whole[shown].add(value.casefold())
        if vr == "PN" and not shown:
            words.update(word.casefold() for word in WORD.findall(value))
    # What one attribute shows another need not hide: a kept UID may hold its maker's serial number.
    shown_too = "\n".join(whole[True])
    wholly = {one for one in whole[False] if len(one) > 3 and any(map(str.isalnum, one))}
    wholly, words = ({one for one in those - WORDS if one not in shown_too} for those in (wholly, words))
    return wholly, words


def answers(house: House, user: str, token: str) -> Iterator[tuple[str, str]]:
    """Route and text of every answer with attributes: three searches, metadata, and the instance without its pixels."""
    for what in ("studies", "series", "instances"):
        answer = house.get(f"/dicomweb/{what}", user, JSON, token=token, query_string={"includefield": "all"})
        if answer.status_code == 200:
            yield what, answer.get_data(as_text=True)
    for path in house.instances(user, token=token):
        answer = house.get(f"{path}/metadata", user, JSON, token=token)
        if answer.status_code == 200:
            yield "metadata", answer.get_data(as_text=True)
        answer = house.get(path, user, "application/dicom", token=token)
        if answer.status_code == 200:
            body = answer.get_data()
            yield "instance", body[: read(body).pixel_offset].decode("utf-8", "replace")


def test_no_level_says_of_a_film_what_it_hides(tmp_path: Path) -> None:
    found: list[tuple[str, str, str, str]] = []
    seen: Counter[str] = Counter()
    for number, film in enumerate(FILMS):
        body = film.read_bytes()
        try:
            elements = read(body).elements
        except SafelightError:
            seen["unreadable"] += 1
            continue
        with House(tmp_path / str(number)) as house:
            if house.store(body).status_code != 200:
                seen["refused"] += 1
                continue
            seen["stored"] += 1
            for user, level in LEVELS.items():
                whole, words = hidden(elements, house.services.policy.current.levels[level])
                own = house.own_patient(patient_identity(elements)) if user == "patient" else house.token(user)
                for route, text in answers(house, user, own):
                    seen[f"{level}: {route}"] += 1
                    folded = text.casefold()
                    said = {one for one in whole if one in folded} | words.intersection(WORD.findall(folded))
                    found += [(film.name, level, route, one) for one in sorted(said)]
                seen[f"{level}: strings"] += len(whole | words)
    print(dict(seen))
    assert not found, sorted({(level, one) for _, level, _, one in found})
    assert not FILMS or min(seen["stored"], *(seen[f"{level}: metadata"] for level in ("deidentified", "teaching")))
