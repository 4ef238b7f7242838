"""One detector for all tests of the room: compiling a tile shape takes half a second."""

from __future__ import annotations

import pytest

from server.screening.text import TextDetector


@pytest.fixture(scope="session")
def detector() -> TextDetector:
    return TextDetector()
