"""One file of `policies/levels/` to one `MaskingLevel`: complete, nothing unknown, nothing twice, and safe."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from server.model import (
    Action,
    ElementAction,
    ElementRules,
    MaskingLevel,
    ObjectKind,
    Profile,
    ProfileOption,
    RegionKind,
    RegionStyle,
    SafePrivate,
)
from server.model.strictness import at_least
from server.policy.inherit import inherited
from server.policy.profile import rows
from server.policy.safe_private import STANDARD
from server.policy.safety import unsafe
from server.policy.tables import NAME, Table
from server.policy.words import GOVERNANCE

_TAG = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)", re.ASCII)


def read_level(
    name: str,
    content: bytes,
    safe_private: tuple[SafePrivate, ...] = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> MaskingLevel:
    """Read the level `name` from the bytes of its file; `safe_private` is the site's list of private elements,
    `files` are all level files by name, of which one may be the parent.

    Attributes are named by the keywords of PS3.6 or as `(gggg,eeee)`, and listed under the action codes of PS3.15
    Table E.1-1a. Every switch and every list must be there, empty or not: what a level does is never a default of
    the program. Where the level applies the Basic Profile, the rows of Table E.1-1 are rules of it, and the file's own
    lists may only be stricter there. Raises `BundleProblems` naming everything that is wrong.
    """
    where = f"levels/{name}.toml"
    table = Table(where, inherited(name, content, files), [])
    if not NAME.fullmatch(name):
        table.problem("a level's name is lower-case letters and digits, words joined by hyphens")
    if table.text("name") != name:
        table.problem("`name` is not the name of the file")
    description = table.text("description")
    transactions = table.choices("transactions", Action)
    objects = table.choices("objects", ObjectKind)
    identifiers = table.table("identifiers")
    pseudonyms = identifiers.take("pseudonyms", bool)
    shift_dates = identifiers.take("shift_dates", bool)
    identifiers.end()
    pixels = table.table("pixels")
    whole_frame = pixels.choice("whole_frame", RegionStyle)
    unscreened = pixels.choice("unscreened", RegionStyle)
    keep_unused_bits = pixels.take("keep_unused_bits", bool)
    longest_side = pixels.number_or_word("longest_side", range(1, 65536), "as stored")
    coarse_blocks = pixels.number_or_word("coarse_blocks", range(4, 65), "none")
    keep_markers = pixels.take("keep_markers", bool)
    keep_machine_text = pixels.take("keep_machine_text", bool)
    tell_regions = pixels.take("tell_regions", bool)
    masked_notice = pixels.take("masked_notice", bool)
    outline_regions = pixels.take("outline_regions", bool)
    region_styles = pixels.table("regions")
    regions = {kind: region_styles.choice(kind, RegionStyle) for kind in RegionKind}
    region_styles.end()
    pixels.end()
    options = _options(table.table("profile"))
    elements = _elements(table.table("elements"))
    if options is not None:
        elements = _profiled(table, elements, options, safe_private, pseudonyms=pseudonyms)
    table.end()
    if not transactions or transactions & GOVERNANCE:
        table.problem("`transactions` names at least one search or retrieve action and nothing else")
    table.finish()
    level = MaskingLevel(
        name=name,
        description=description,
        transactions=transactions,
        objects=objects,
        elements=elements,
        pseudonyms=pseudonyms,
        shift_dates=shift_dates,
        regions=MappingProxyType(regions),
        unscreened=unscreened,
        whole_frame=whole_frame,
        keep_unused_bits=keep_unused_bits,
        longest_side=longest_side,
        fingerprint="",
        coarse_blocks=coarse_blocks or 0,
        keep_markers=keep_markers,
        keep_machine_text=keep_machine_text,
        tell_regions=tell_regions,
        masked_notice=masked_notice,
        outline_regions=outline_regions,
    )
    for sentence in unsafe(level):
        table.problem(sentence)
    table.finish()
    return replace(level, fingerprint=_fingerprint(level))


def _elements(table: Table) -> ElementRules:
    default = table.choice("default", ElementAction)
    private = table.choice("private", ElementAction)
    by_tag: dict[int, ElementAction] = {}
    for action in ElementAction:
        for word in table.words(action.value):
            tag = _tag(word)
            if tag is None:
                table.problem(f"`{word}` is neither a keyword of PS3.6 nor a public `(gggg,eeee)` of a data set")
            elif tag in by_tag:
                table.problem(f"`{word}` is listed twice")
            else:
                by_tag[tag] = action
    table.end()
    return ElementRules(default=default, private=private, by_tag=MappingProxyType(by_tag), profile=None)


def _options(table: Table) -> frozenset[ProfileOption] | None:
    """The options of the Basic Profile that are switched on; None where the level does not apply the profile."""
    basic = table.take("basic", bool)
    options = frozenset(option for option in ProfileOption if table.take(option.value, bool))
    table.end()
    if options and not basic:
        table.problem("options without `basic`, which they are options of")
    return options if basic else None


def _profiled(
    table: Table,
    own: ElementRules,
    options: frozenset[ProfileOption],
    safe_private: tuple[SafePrivate, ...],
    *,
    pseudonyms: bool,
) -> ElementRules:
    """The file's own rules on top of the profile's rows."""
    by_tag: dict[int, ElementAction] = {}
    choices: dict[int, tuple[ElementAction, ...]] = {}
    for tag, row in rows(options, pseudonyms=pseudonyms).items():
        wanted = own.by_tag.get(tag)
        if wanted is not None and not at_least(wanted, row.action):
            table.problem(f"`{keyword_for_tag(tag)}` is {wanted}, milder than the profile's {row.action}")
        by_tag[tag] = row.action if wanted is None else wanted
        if wanted is None:
            choices[tag] = row.choices
    profile = Profile(
        options=options,
        choices=MappingProxyType(choices),
        safe_private=(*safe_private, *STANDARD) if ProfileOption.RETAIN_SAFE_PRIVATE in options else (),
    )
    return replace(own, by_tag=MappingProxyType({**own.by_tag, **by_tag}), profile=profile)


def _tag(word: str) -> int | None:
    """The 32-bit tag that a word names; None for private, group length, command and file meta elements, too."""
    match = _TAG.fullmatch(word)
    tag = int(match[1] + match[2], 16) if match else tag_for_keyword(word) or 0
    group, element = tag >> 16, tag & 0xFFFF
    return tag if group >= 8 and group % 2 == 0 and element != 0 else None


def _fingerprint(level: MaskingLevel) -> str:
    """SHA-256 of what the level does, in hexadecimal: neither comments nor the order of lists count."""
    content = {
        "name": level.name,
        "description": level.description,
        "transactions": sorted(level.transactions),
        "objects": sorted(level.objects),
        "pseudonyms": level.pseudonyms,
        "shift_dates": level.shift_dates,
        "whole_frame": level.whole_frame,
        "unscreened": level.unscreened,
        "keep_unused_bits": level.keep_unused_bits,
        "longest_side": level.longest_side,
        "coarse_blocks": level.coarse_blocks,
        "keep_markers": level.keep_markers,
        "keep_machine_text": level.keep_machine_text,
        "tell_regions": level.tell_regions,
        "masked_notice": level.masked_notice,
        "outline_regions": level.outline_regions,
        "regions": dict(level.regions),
        "default": level.elements.default,
        "private": level.elements.private,
        "elements": {f"{tag:08X}": action for tag, action in level.elements.by_tag.items()},
        "profile": _profile_content(level.elements.profile),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _profile_content(profile: Profile | None) -> Mapping[str, object] | None:
    if profile is None:
        return None
    return {
        "options": sorted(profile.options),
        "choices": {f"{tag:08X}": "/".join(actions) for tag, actions in profile.choices.items()},
        "safe_private": [
            [one.creator, one.group, one.element, one.vr, sorted(one.terms), one.multiplicity]
            for one in profile.safe_private
        ],
    }
