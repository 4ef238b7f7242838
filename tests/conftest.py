"""Fixtures of the rooms, in one conftest: the type checker knows modules by their names alone."""

pytest_plugins = ("catalog_fixtures", "screening_fixtures")
