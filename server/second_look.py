"""The level at which the second detector looks: everything that was found is hidden, and nothing else."""

from __future__ import annotations

from types import MappingProxyType

from server.model import Action, ElementAction, ElementRules, MaskingLevel, ObjectKind, RegionKind, RegionStyle

# A film of many frames shows the same overlay on all of them, or different anatomy: so many, evenly spread, tell.
MOST_FRAMES = 4
LOOK = MaskingLevel(
    name="second-look",
    description="What the second detector looks at; nobody is ever given this level.",
    transactions=frozenset[Action](),
    objects=frozenset[ObjectKind](),
    elements=ElementRules(
        default=ElementAction.REMOVE, private=ElementAction.REMOVE, by_tag=MappingProxyType({}), profile=None
    ),
    pseudonyms=True,
    shift_dates=False,
    regions=MappingProxyType(
        {**dict.fromkeys(RegionKind, RegionStyle.MOSAIC), RegionKind.BACKGROUND: RegionStyle.FLATTEN}
    ),
    unscreened=RegionStyle.FILL,
    whole_frame=RegionStyle.KEEP,
    keep_unused_bits=True,
    longest_side=None,
    fingerprint="",
    coarse_blocks=0,
    keep_markers=False,
    keep_machine_text=False,
    tell_regions=False,
    masked_notice=False,
    outline_regions=False,
)


def frames_to_recheck(number_of_frames: int) -> tuple[int, ...]:
    """Up to `MOST_FRAMES` frame numbers from 1, evenly spread, first and last among them."""
    if number_of_frames <= MOST_FRAMES:
        return tuple(range(1, number_of_frames + 1))
    step = (number_of_frames - 1) / (MOST_FRAMES - 1)
    return tuple(sorted({1 + round(index * step) for index in range(MOST_FRAMES)}))
