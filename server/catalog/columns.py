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

from server.catalog.lines import Near

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

    def holding(self, text: str, start: int, stop: int) -> Iterator[int]:
        """Which of the texts from `start` to `stop` hold this one, which is not empty; it is looked for in all at
        once."""
        wanted = text.encode("utf-8", "surrogatepass")
        at, end = self._ends[start], self._ends[max(start, stop)]
        while (at := self._bytes.find(wanted, at, end)) >= 0:
            number = bisect_right(self._ends, at) - 1
            behind = self._ends[number + 1]
            if at + len(wanted) <= behind:
                yield number
                at = behind
            else:
                # It begins in one text and ends in the next.
                at += 1


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
        self._keys: Packed = self._values
        self._places: NDArray[np.uint32] | None = None

    def add(self, value: str, number: int) -> None:
        """Say that a study has a value; once for each."""
        self._waiting.append(value)
        self._waiting_numbers.append(number)

    def numbers(self) -> NDArray[np.uint32]:
        """All studies that have a value."""
        return np.concatenate((self._numbers, np.array(self._waiting_numbers, np.uint32)))

    def find(self, near: Near, test: Callable[[str], bool]) -> NDArray[np.uint32]:
        """The studies with a value that has a key where `near` says, as far as `test` takes it.

        Every value that `test` takes has to have such a key; of what is sure, no value that has been sorted is tested.
        """
        if len(self._waiting) > _WAITING + len(self._values) // 1000:
            self._sort()
        places = np.unique(np.concatenate([self._near(low, high, near.inside) for low, high in near.intervals]))
        if not near.sure:
            taken = (test(self._values[int(place)]) for place in places)
            places = places[np.fromiter(taken, np.bool_, len(places))]
        waiting = [number for value, number in zip(self._waiting, self._waiting_numbers, strict=True) if test(value)]
        return np.concatenate((self._numbers_of(places), np.array(waiting, np.uint32)))

    def _near(self, low: str, high: str, inside: str) -> NDArray[np.uint32]:
        """The places of the values with a key in a closed interval and this text in it, once or more often."""
        first, behind = bisect_left(self._keys, low), bisect_right(self._keys, high)
        if not inside:
            keys = np.arange(first, max(first, behind), dtype=np.uint32)
        else:
            keys = np.fromiter(self._keys.holding(inside, first, behind), np.uint32)
        return keys if self._places is None else self._places[keys]

    def _numbers_of(self, places: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The numbers of the values at these places, one value's after the other's."""
        starts, counts = self._starts[places], self._starts[places + 1] - self._starts[places]
        before = np.cumsum(counts) - counts
        return self._numbers[np.repeat(starts - before, counts) + np.arange(int(counts.sum()))]

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
