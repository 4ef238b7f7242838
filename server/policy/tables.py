"""Strict reading of TOML: every key is asked for, and one that is missing, misshapen or left over is a problem."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from server.policy.words import BundleProblems

Kind = TypeVar("Kind")
Choice = TypeVar("Choice", bound=StrEnum)

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
"""What a level or a role may be called: it travels in headers, file names and rules."""


class Table:
    """One TOML table on its way to a value. Problems gather in a list that the tables of one file share.

    A reader returns a harmless stand-in after a problem, so that one pass finds every problem; `finish` raises.
    """

    def __init__(self, where: str, content: Mapping[str, object], problems: list[str]) -> None:
        self._where = where
        self._content = dict(content)
        self._problems = problems

    @classmethod
    def parse(cls, where: str, content: bytes) -> Table:
        """Read UTF-8 TOML. Raises `BundleProblems` if it is not."""
        try:
            return cls(where, tomllib.loads(content.decode()), [])
        except (ValueError, RecursionError):
            raise BundleProblems((f"{where}: not readable as UTF-8 TOML",)) from None

    def problem(self, sentence: str) -> None:
        self._problems.append(f"{self._where}: {sentence}")

    def finish(self) -> None:
        """Raise `BundleProblems` if anything was wrong here or in a table taken from here."""
        if self._problems:
            raise BundleProblems(tuple(self._problems))

    def end(self) -> None:
        """Say that nothing more is expected: what is left over is unknown."""
        for key in sorted(self._content):
            self.problem(f"unknown key `{key}`")
        self._content.clear()

    def take(self, key: str, kind: type[Kind]) -> Kind:
        """The value of `key`, of exactly that type (a TOML boolean is no integer)."""
        if key not in self._content:
            self.problem(f"`{key}` is missing")
            return kind()
        value = self._content.pop(key)
        if type(value) is not kind:
            self.problem(f"`{key}` is not of the kind {kind.__name__}")
            return kind()
        return value

    def text(self, key: str) -> str:
        """A string with something in it, on one line."""
        value = self.take(key, str)
        if not value.strip() or not value.isprintable():
            self.problem(f"`{key}` is empty or holds line breaks or control characters")
        return value

    def choice(self, key: str, kind: type[Choice]) -> Choice:
        """One member of an enumeration, exactly as written there."""
        return self._member(key, self.take(key, str), kind)

    def choices(self, key: str, kind: type[Choice]) -> frozenset[Choice]:
        return frozenset(self._member(key, word, kind) for word in self.words(key))

    def words(self, key: str) -> tuple[str, ...]:
        """A list of distinct strings, possibly empty."""
        values = self.take(key, list)
        words = tuple(value for value in values if isinstance(value, str))
        if len(words) != len(values):
            self.problem(f"`{key}` holds something that is not a string")
        if len(set(words)) != len(words):
            self.problem(f"`{key}` names something twice")
        return words

    def has(self, key: str) -> bool:
        return key in self._content

    def lists(self) -> dict[str, tuple[str, ...]]:
        """All that is left, which has to be lists of distinct strings."""
        return {key: self.words(key) for key in tuple(self._content)}

    def number_or_word(self, key: str, allowed: range, word: str) -> int | None:
        """A number out of `allowed`, or None for the one word that means "no number"."""
        value = self._content.pop(key, None)
        if value == word:
            return None
        if type(value) is not int or value not in allowed:
            self.problem(f"`{key}` is neither a number from {allowed[0]} to {allowed[-1]} nor `{word}`")
            return allowed[0]
        return value

    def number(self, key: str, allowed: range) -> int:
        """A number out of `allowed`."""
        value = self.take(key, int)
        if value not in allowed:
            self.problem(f"`{key}` is not a number from {allowed[0]} to {allowed[-1]}")
        return value

    def table(self, key: str) -> Table:
        return Table(f"{self._where}, {key}", self.take(key, dict), self._problems)

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables; each is called by its position, from 1."""
        values = self.take(key, list)
        if not all(isinstance(value, dict) for value in values):
            self.problem(f"`{key}` is not a list of tables")
            return ()
        return tuple(
            Table(f"{self._where}, {key} {position}", value, self._problems)
            for position, value in enumerate(values, start=1)
        )

    def _member(self, key: str, word: str, kind: type[Choice]) -> Choice:
        try:
            return kind(word)
        except ValueError:
            self.problem(f"`{key}`: `{word}` is none of {', '.join(kind)}")
            return next(iter(kind))
