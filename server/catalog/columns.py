"""The values of one attribute in a world in memory: packed, sorted when they are first asked for, a few bytes a study.

What comes after the sorting waits beside it and is looked through one by one, until it is much and all is sorted anew.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

_WAITING = 256
"""So many values may wait, and one more for every thousand that are sorted."""

Keys = Callable[[str], Iterable[str]]


class Packed(Sequence[str]):
    """Texts one behind the other."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", (0,))
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError
        return self._bytes[self._ends[at] : self._ends[at + 1]].decode()


class Column:
    """Values and the numbers of the studies that have them. `keys`: what a value is sorted by, one key or several."""

    def __init__(self, keys: Keys) -> None:
        self._key_of = keys
        self._waiting = Packed()
        self._waiting_numbers = array("I")
        # Different values in the order of code points; the numbers of value i lie from `starts[i]` to `starts[i + 1]`.
        self._values = Packed()
        self._starts: NDArray[np.int64] = np.zeros(1, np.int64)
        self._numbers: NDArray[np.uint32] = np.zeros(0, np.uint32)
        # Keys in order, and the place of the value of each; without places, the values are their own keys.
        self._keys: Sequence[str] = self._values
        self._places: NDArray[np.uint32] | None = None

    def add(self, value: str, number: int) -> None:
        """Say that a study has a value; once for each."""
        self._waiting.append(value)
        self._waiting_numbers.append(number)

    def numbers(self) -> NDArray[np.uint32]:
        """All studies that have a value."""
        return np.concatenate((self._numbers, np.array(self._waiting_numbers, np.uint32)))

    def find(self, intervals: Sequence[tuple[str, str]], test: Callable[[str], bool]) -> NDArray[np.uint32]:
        """The studies with a value that has a key within one of the closed intervals, as far as `test` takes it.

        Every value that `test` takes has to have such a key.
        """
        if len(self._waiting) > _WAITING + len(self._values) // 1000:
            self._sort()
        near: set[int] = set()
        for low, high in intervals:
            places = range(bisect_left(self._keys, low), bisect_right(self._keys, high))
            near.update(places if self._places is None else map(int, self._places[places.start : places.stop]))
        found = [self._numbers[start:stop] for start, stop in self._runs(near, test)]
        waiting = [number for value, number in zip(self._waiting, self._waiting_numbers, strict=True) if test(value)]
        return np.concatenate((*found, np.array(waiting, np.uint32)))

    def _runs(self, places: Iterable[int], test: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
        """Where the numbers lie of those of the values that `test` takes, neighbours as one."""
        begin = end = -1
        for place in sorted(places):
            if not test(self._values[place]):
                continue
            if place != end:
                if end >= 0:
                    yield int(self._starts[begin]), int(self._starts[end])
                begin = place
            end = place + 1
        if end >= 0:
            yield int(self._starts[begin]), int(self._starts[end])

    def _sort(self) -> None:
        counts = np.diff(self._starts)
        texts = [*self._values, *self._waiting]
        which = np.concatenate(
            (
                np.repeat(np.arange(len(self._values), dtype=np.int64), counts),
                np.arange(len(self._values), len(texts), dtype=np.int64),
            )
        )
        numbers = self.numbers()
        # Mostly sorted already, which makes sorting quick.
        different = sorted(dict.fromkeys(texts))
        at = {text: place for place, text in enumerate(different)}
        place_of = np.array([at[text] for text in texts], np.int64)[which]
        order = np.argsort(place_of, kind="stable")
        self._numbers = numbers[order]
        self._starts = np.searchsorted(place_of[order], np.arange(len(different) + 1))
        self._values, self._waiting, self._waiting_numbers = Packed(different), Packed(), array("I")
        keyed = [(key, place) for place, text in enumerate(different) for key in set(self._key_of(text))]
        if all(key == different[place] for key, place in keyed) and len(keyed) == len(different):
            self._keys, self._places = self._values, None
            return
        keyed.sort()
        self._keys = Packed(key for key, _ in keyed)
        self._places = np.array([place for _, place in keyed], np.uint32)
