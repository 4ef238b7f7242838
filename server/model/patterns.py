"""Wild cards of search keys (PS3.4 section C.2.2.2.4)."""

from __future__ import annotations


def glob(pattern: str, text: str) -> bool:
    """Whether `text` matches a pattern of `*` (any characters) and `?` (any one); everything else is literal.

    Takes time in the product of both lengths at most, whatever the pattern.
    """
    if "?" not in pattern:
        return _in_turn(pattern.split("*"), text)
    at_pattern = at_text = 0
    star, resume = -1, 0
    while at_text < len(text):
        if at_pattern < len(pattern) and pattern[at_pattern] == "*":
            star, resume = at_pattern, at_text
            at_pattern += 1
        elif at_pattern < len(pattern) and pattern[at_pattern] in ("?", text[at_text]):
            at_pattern += 1
            at_text += 1
        elif star >= 0:
            resume += 1
            at_pattern, at_text = star + 1, resume
        else:
            return False
    return pattern[at_pattern:].strip("*") == ""


def _in_turn(parts: list[str], text: str) -> bool:
    """Whether a text begins with the first part, ends with the last, and has the others in turn between them."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return text == first
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in parts[1:-1]:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
