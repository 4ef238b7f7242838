"""Kill -9 of server and worker at random moments while films are stored, screened and served; then look what is left.

One store lives through all rounds; a round is one kill. `SAFELIGHT_KILL_ROUNDS` says how many (`make kill-test`: 200).
"""

from __future__ import annotations

import os
from pathlib import Path

from kill_world import KINDS, World
from processes import safelight

from server.sweep import STALE_SECONDS

ROUNDS = int(os.environ.get("SAFELIGHT_KILL_ROUNDS", "5"))
_EVERY = 20


def test_kill_loses_nothing_and_shows_nothing_half(tmp_path: Path) -> None:
    """No acknowledged film lost, none half-stored visible, no screening lost, no answer without its entry."""
    with World(tmp_path) as world:
        for number in range(ROUNDS):
            seed = 1000 + number
            kind = KINDS[number % len(KINDS)]
            print(f"round {number + 1} of {ROUNDS}: {kind} killed, seed {seed}", flush=True)
            world.round(seed, kind)
            world.check_films(world.fresh())
            world.check_visible(world.fresh_studies())
            world.check_not_forgotten(world.fresh())
            world.check_entries()
            if number % _EVERY == _EVERY - 1:
                world.check_journal()
                world.sweep(later=2 * STALE_SECONDS)

        # Some thirty films a round wait, more where storing is quick.
        done = safelight("screen", "--drain", "--data", world.data, seconds=90 + 30 * ROUNDS)
        assert done.returncode == 0, done.stderr
        world.check_screened()
        world.sweep(later=2 * STALE_SECONDS)
        world.check_films(world.acknowledged())
        world.check_visible(world.studies())
        world.check_entries()
        world.check_journal()
        world.check_logs()
        verified = safelight("audit", "verify", "--data", world.data)
        assert verified.returncode == 0, verified.stderr
        print(f"{ROUNDS} kills: {world.summary()}; {verified.stdout.strip()}")
