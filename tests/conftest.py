"""Fixtures of the rooms. There is one conftest: the type checker knows modules by name, and two would be one too many."""

pytest_plugins = ("catalog_fixtures", "screening_fixtures")
