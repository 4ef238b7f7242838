"""Fixtures of the rooms, in one conftest: the type checker knows modules by their names alone."""

import gc

pytest_plugins = ("catalog_fixtures", "screening_fixtures")


def pytest_collection_finish() -> None:
    """Fifteen thousand tests stay to the end: collecting garbage need not look through them every time."""
    gc.collect()
    gc.freeze()
