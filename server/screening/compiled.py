"""Networks compiled for the shapes that are looked at: all are kept, few of them hold what they work in at a time.

Compiling takes a third of a second, waking a fiftieth; what a network works in takes up to 130 bytes a sample, asleep
it takes a few megabytes. So a film is looked at in the memory of one large tile, however many networks look at it, and
frames of a size that was seen before cost no compiling.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

# So many samples of compiled shapes are awake together, or one of whatever size.
AWAKE = 1_300_000
# And so many are kept at all.
KEPT = 32


@dataclass(kw_only=True)
class _Network:
    samples: int
    model: Any
    request: Any | None = None


class Compiled:
    """The compiled networks of one thread; several finders share one. Not for several threads at once."""

    def __init__(self, *, awake: int = AWAKE, kept: int = KEPT) -> None:
        """`awake`: how many samples may be awake together; `kept`: how many compiled networks there are at most."""
        self._awake, self._kept = awake, kept
        self._networks: OrderedDict[Hashable, _Network] = OrderedDict()

    def request(self, name: Hashable, samples: int, compiled: Callable[[], Any]) -> Any:
        """The inference request of the network of this name, which works on so many samples; it holds until the next
        call. `compiled` makes the compiled model where there is none yet.
        """
        known = self._networks.get(name)
        if known is None or known.request is None:
            # Room first, so that the old and the new are never there together.
            self._room(samples)
        if known is None:
            while len(self._networks) >= self._kept:
                self._networks.popitem(last=False)
            known = self._networks[name] = _Network(samples=samples, model=compiled())
        if known.request is None:
            known.request = known.model.create_infer_request()
        self._networks.move_to_end(name)
        return known.request

    @property
    def awake(self) -> int:
        """How many samples the networks work on that are awake."""
        return sum(one.samples for one in self._networks.values() if one.request is not None)

    def _room(self, samples: int) -> None:
        for one in self._networks.values():
            if self.awake + samples <= self._awake:
                return
            if one.request is not None:
                one.request = None
                one.model.release_memory()
