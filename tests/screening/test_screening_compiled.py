"""What is compiled once is kept; what networks work in is held by few of them at a time."""

from __future__ import annotations

import numpy as np
from test_screening_text import Picture

from server.screening import weights
from server.screening.compiled import Compiled
from server.screening.network import TextNetwork
from server.screening.packaged import content


class Model:
    """A compiled model that notes how often it was made, woken and put to sleep."""

    def __init__(self, notes: list[str], name: str) -> None:
        self._notes, self._name = notes, name
        notes.append(f"made {name}")

    def create_infer_request(self) -> object:
        self._notes.append(f"woken {self._name}")
        return object()

    def release_memory(self) -> None:
        self._notes.append(f"asleep {self._name}")


def asked(compiled: Compiled, notes: list[str], names: str, samples: int = 60) -> None:
    for name in names:
        compiled.request(name, samples, lambda name=name: Model(notes, name))  # type: ignore[misc]


def test_one_that_needs_room_puts_the_longest_unused_to_sleep_first() -> None:
    notes: list[str] = []
    compiled = Compiled(awake=150, kept=9)
    asked(compiled, notes, "abac")
    assert notes == ["made a", "woken a", "made b", "woken b", "asleep b", "made c", "woken c"]
    assert compiled.awake == 120


def test_what_sleeps_is_woken_without_compiling() -> None:
    notes: list[str] = []
    asked(Compiled(awake=60, kept=9), notes, "aba")
    assert notes == ["made a", "woken a", "asleep a", "made b", "woken b", "asleep b", "woken a"]


def test_one_larger_than_all_room_is_awake_alone() -> None:
    notes: list[str] = []
    compiled = Compiled(awake=60, kept=9)
    asked(compiled, notes, "a")
    asked(compiled, notes, "b", samples=1000)
    assert compiled.awake == 1000
    assert "asleep a" in notes


def test_more_than_are_kept_are_forgotten() -> None:
    notes: list[str] = []
    asked(Compiled(awake=1000, kept=2), notes, "abcab")
    assert [note for note in notes if note.startswith("made")] == [f"made {name}" for name in "abcab"]


def test_a_network_that_slept_answers_the_same() -> None:
    chance = np.random.default_rng(5)
    pictures: list[Picture] = [chance.integers(0, 256, shape, np.uint8) for shape in ((300, 500), (200, 200))]
    network = TextNetwork(content(weights.TINY), threads=1, compiled=Compiled(awake=1))
    first, _, again = (network.probability(pictures[index]).copy() for index in (0, 1, 0))
    assert np.array_equal(first, again)
