"""What bandit complains about in the program, each with the reason why it stays; nothing else may be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    """A complaint that stays: the rule of bandit, the module, how often it is there, and why it is right there."""

    rule: str
    module: str
    count: int
    reason: str


_OWN_PROGRAM = "a fixed list of words, no shell: this interpreter and this package, nothing of a request's"
_FOR_TYPES = "tells the type checker what the lines before have settled; nothing is refused or let in by it"

EXCEPTIONS: tuple[Kept, ...] = (
    Kept("B105", "server/auth/provider.py", 1, "a parameter's value by RFC 7662, no secret"),
    Kept("B105", "server/cli.py", 1, "the name of a command"),
    Kept("B105", "server/services.py", 1, "empty: an issuer without a secret"),
    Kept("B106", "server/demo/provider.py", 1, "the type of a token by RFC 6750, no secret"),
    Kept("B106", "server/catalog/shares.py", 1, "empty: a link that was accepted has no secret any more"),
    Kept("B608", "server/catalog/database.py", 3, "names of our own tables and columns; every value is bound"),
    Kept("B404", "server/commands/demo.py", 1, _OWN_PROGRAM),
    Kept("B603", "server/commands/demo.py", 3, _OWN_PROGRAM),
    Kept("B404", "server/commands/supervise.py", 1, _OWN_PROGRAM),
    Kept("B603", "server/commands/supervise.py", 1, _OWN_PROGRAM),
    Kept("B404", "server/pixels/pool.py", 1, f"{_OWN_PROGRAM}, in isolated mode"),
    Kept("B603", "server/pixels/pool.py", 1, f"{_OWN_PROGRAM}, in isolated mode"),
    Kept("B104", "server/commands/health.py", 1, "looked up to ask the loopback address instead; nothing listens"),
    Kept("B405", "server/conformance.py", 1, "writes XML and reads none"),
    Kept("B406", "server/metadata/xml_model.py", 1, "escapes what is written; reads none"),
    Kept("B405", "server/metadata/read_model.py", 1, "read with a parser that refuses every document type"),
    Kept(
        "B314", "server/metadata/read_model.py", 1,
        "without a document type there is no entity to expand; tests/test_store_metadata.py tries",
    ),
    Kept(
        "B305", "server/metadata/pseudonyms.py", 2,
        "one block of 16 random bytes each, enciphered once: the permutation itself is what is wanted, so that a "
        "pseudonym is as long as what it stands for and can be read back",
    ),
    Kept("B101", "server/pixels/pool.py", 2, _FOR_TYPES),
    Kept("B101", "server/pixels/levels.py", 1, _FOR_TYPES),
    Kept("B101", "server/rendered.py", 1, _FOR_TYPES),
    Kept("B101", "server/bases.py", 1, _FOR_TYPES),
)  # fmt: skip


def differences(found: Counter[tuple[str, str]]) -> list[str]:
    """What is complained about beyond the table, and what stands in the table and is not there any more."""
    argued = Counter({(one.rule, one.module): one.count for one in EXCEPTIONS})
    over = [f"{rule} in {module} is not argued" for rule, module in sorted((found - argued).elements())]
    return over + [f"{rule} in {module} is gone" for rule, module in sorted((argued - found).elements())]
