"""What a process keeps of its worlds' answers: arrays that a change makes worthless, studies and their parts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

BODY_BYTES = 16_000_000
"""So much of studies and their parts, as they were answered, is kept of a world."""

T = TypeVar("T")


class Arrays:
    """What was worked out since the last change, as much of it as is used often. For one thread at a time."""

    def __init__(self, most: int = 48) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, Hashable], Any] = OrderedDict()

    def of(self, kind: str, name: Hashable, make: Callable[[], T]) -> T:
        if (kind, name) in self._kept:
            self._kept.move_to_end((kind, name))
            return cast(T, self._kept[kind, name])
        made = make()
        self._kept[kind, name] = made
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made

    def forget(self, *kinds: str, name: Hashable) -> None:
        for kind in kinds:
            self._kept.pop((kind, name), None)


class Bodies:
    """Studies and parts of studies as they were answered before, by number of the study and what they are; for threads
    to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[bytes, ...]] = OrderedDict()
        self._bytes = 0

    def get(self, name: Hashable) -> tuple[bytes, ...] | None:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, name: Hashable, bodies: tuple[bytes, ...]) -> None:
        with self._lock:
            self._bytes += sum(map(len, bodies)) - sum(map(len, self._kept.pop(name, ())))
            self._kept[name] = bodies
            while self._bytes > BODY_BYTES:
                self._bytes -= sum(map(len, self._kept.popitem(last=False)[1]))
