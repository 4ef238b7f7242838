"""Wild cards of search keys (PS3.4 section C.2.2.2.4)."""

from __future__ import annotations


def glob(pattern: str, text: str) -> bool:
    """Whether `text` matches a pattern of `*` (any characters) and `?` (any one); everything else is literal.

    Takes time in the product of both lengths at most, whatever the pattern.
    """
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
