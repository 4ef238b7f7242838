"""Additional films, where a developer has some: none of them loses an element, none of them leaks its patient."""

from __future__ import annotations

import os
from pathlib import Path

from metadata_films import DEIDENTIFIED, ORIGINAL, is_object, joined, names

from server.errors import SafelightError
from server.metadata.deidentify import deidentify
from server.metadata.elements import first_text
from server.metadata.part10 import read
from server.metadata.pseudonyms import IdentityMapping
from server.metadata.write import write

ROOT = os.environ.get("SAFELIGHT_SHARED_DATA", "")
FILMS = [path for path in sorted(Path(ROOT).rglob("*.dcm")) if is_object(path)] if ROOT else []
IDENTIFYING = (0x00100010, 0x00100020, 0x00080050, 0x0020000D, 0x00080018, 0x0020000E)


def test_shared_films_at_two_levels() -> None:
    for film in FILMS:
        try:
            found = read(film.read_bytes())
        except SafelightError:
            continue
        kept = deidentify(found.elements, ORIGINAL, IdentityMapping(), pixels_masked=False)
        assert read(joined(write(kept, "1.2.840.10008.1.2.1", None))).path == found.path
        masked = deidentify(found.elements, DEIDENTIFIED, names(found.elements), pixels_masked=True)
        written = joined(write(masked, "1.2.840.10008.1.2.1", None))
        for tag in IDENTIFYING:
            value = first_text(found.elements, tag)
            assert len(value) < 5 or value.encode() not in written
