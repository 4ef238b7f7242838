"""Which level is more masked than which: declared in `levels/order.toml`, believed where the levels bear it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType

from server.model import ElementAction, MaskingLevel, RegionKind, RegionStyle
from server.model.strictness import STRENGTH
from server.policy.tables import NAME, Table
from server.policy.words import LevelOrder

_WHERE = "levels/order.toml"


def read_order(content: bytes, levels: Mapping[str, MaskingLevel]) -> tuple[LevelOrder, Mapping[str, tuple[str, ...]]]:
    """Read the partial order and the ladder of every role, most masked level first.

    Every ladder has to be a chain of the order, and every declared pair has to be true of the levels: the more masked
    one may not show a single attribute, pixel or transaction that the other hides. Raises `BundleProblems`.
    """
    table = Table.parse(_WHERE, content)
    chains = _chains(table.tables("chain"))
    ladders = table.table("ladders").lists()
    table.end()
    for name in sorted({name for names in (*chains, *ladders.values()) for name in names} - set(levels)):
        table.problem(f"there is no level `{name}`")
    for role in ladders:
        if not NAME.fullmatch(role):
            table.problem(f"`{role}` cannot be the name of a role")
    if not ladders:
        table.problem("no role has a ladder")
    table.finish()
    order = LevelOrder(less_masked=MappingProxyType(_closure(chains)))
    for sentence in (*_untrue(order, levels), *_unordered(order, ladders)):
        table.problem(sentence)
    table.finish()
    return order, MappingProxyType(ladders)


def _chains(tables: tuple[Table, ...]) -> list[tuple[str, ...]]:
    chains = []
    for table in tables:
        chains.append(table.words("levels"))
        table.end()
    return chains


def _untrue(order: LevelOrder, levels: Mapping[str, MaskingLevel]) -> Iterator[str]:
    for name, others in order.less_masked.items():
        if name in others:
            yield f"`{name}` would be more masked than itself"
        for other in sorted(others):
            for sentence in shows_more(levels[name], levels[other]):
                yield f"`{name}` is not more masked than `{other}`: {sentence}"


def _unordered(order: LevelOrder, ladders: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for role, ladder in ladders.items():
        for lower, upper in pairwise(ladder):
            if not order.is_more_masked(lower, upper):
                yield f"on the ladder of `{role}`, `{lower}` is not declared more masked than `{upper}`"


def _closure(chains: list[tuple[str, ...]]) -> dict[str, frozenset[str]]:
    less_masked: dict[str, set[str]] = {name: set() for chain in chains for name in chain}
    for chain in chains:
        for lower, upper in pairwise(chain):
            less_masked[lower].add(upper)
    for _ in less_masked:
        for above in less_masked.values():
            above.update(*(less_masked[name] for name in tuple(above)))
    return {name: frozenset(above) for name, above in less_masked.items()}


def shows_more(level: MaskingLevel, other: MaskingLevel) -> Iterator[str]:
    """What `level` shows and `other` hides, one sentence each; nothing if `level` is at least as masked."""
    if extra := level.transactions - other.transactions:
        yield f"it allows {', '.join(sorted(extra))}"
    if kinds := level.objects - other.objects:
        yield f"it sends objects of the kinds {', '.join(sorted(kinds))}"
    if other.pseudonyms and not level.pseudonyms:
        yield "it has no pseudonyms"
    if other.shift_dates and not level.shift_dates:
        yield "it does not shift dates"
    if level.keep_unused_bits and not other.keep_unused_bits:
        yield "it keeps unused bits"
    if other.longest_side is not None and (level.longest_side is None or level.longest_side > other.longest_side):
        yield "its pictures are larger"
    kept = [kind for kind, style in level.regions.items() if style is RegionStyle.KEEP]
    yield from (f"it keeps {kind} regions" for kind in kept if other.regions[kind] is not RegionStyle.KEEP)
    if level.unscreened is RegionStyle.KEEP and other.unscreened is not RegionStyle.KEEP:
        yield "it keeps unscreened frames"
    if level.whole_frame is RegionStyle.KEEP and other.whole_frame is not RegionStyle.KEEP:
        yield "it keeps frames"
    yield from _shows_more_pixels(level, other)
    yield from _shows_more_elements(level, other)


def _shows_more_pixels(level: MaskingLevel, other: MaskingLevel) -> Iterator[str]:
    if level.whole_frame is RegionStyle.COARSE:
        if other.whole_frame not in (RegionStyle.KEEP, RegionStyle.COARSE):
            yield "it shows frames coarsely"
        if other.whole_frame is RegionStyle.COARSE and level.coarse_blocks > other.coarse_blocks:
            yield "its coarse frames are finer"
    if other.regions[RegionKind.TEXT] is not RegionStyle.KEEP:
        if level.keep_markers and not other.keep_markers:
            yield "it keeps markers"
        if level.keep_machine_text and not other.keep_machine_text:
            yield "it keeps machine text"
    if level.tell_regions and not other.tell_regions:
        yield "it tells where something is hidden"


def _shows_more_elements(level: MaskingLevel, other: MaskingLevel) -> Iterator[str]:
    if _strength(level, level.elements.default) < _strength(other, other.elements.default):
        yield "it is milder with elements that are not listed"
    if _strength(level, level.elements.private) < _strength(other, other.elements.private):
        yield "it is milder with private elements"
    for tag in sorted({*level.elements.by_tag, *other.elements.by_tag}):
        here = level.elements.by_tag.get(tag, level.elements.default)
        there = other.elements.by_tag.get(tag, other.elements.default)
        if _strength(level, here) < _strength(other, there):
            yield f"it is milder with ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _strength(level: MaskingLevel, action: ElementAction) -> int:
    """How much an action hides. Without pseudonyms U changes nothing."""
    if action is ElementAction.UID and not level.pseudonyms:
        return STRENGTH[ElementAction.KEEP]
    return STRENGTH[action]
