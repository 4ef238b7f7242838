"""A shared cache as RFC 9111 describes one, as eager as the standard lets it be, for asking whom it would serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from werkzeug.datastructures import Headers

Fetch = Callable[[str, Mapping[str, str]], tuple[int, Headers, bytes]]
# RFC 9110 section 15.1: the final statuses that may be kept without an explicit lifetime.
HEURISTIC = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})


def directives(value: str) -> dict[str, str]:
    """Cache-Control as a table, names in lower case (RFC 9111 section 5.2)."""
    pairs = (item.strip().partition("=") for item in value.split(",") if item.strip())
    return {name.strip().lower(): argument.strip().strip('"') for name, _, argument in pairs}


@dataclass
class _Stored:
    selecting: Mapping[str, str | None]
    answer: tuple[int, Headers, bytes]


@dataclass
class SharedCache:
    """Keeps whatever section 3 allows and answers by section 4; counts how often it answered by itself."""

    fetch: Fetch
    kept: dict[str, list[_Stored]] = field(default_factory=dict)
    hits: int = 0

    def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, Headers, bytes]:
        """One GET through the cache."""
        lower = {name.lower(): value for name, value in headers.items()}
        for stored in self.kept.get(url, []):
            if all(lower.get(name) == value for name, value in stored.selecting.items()):
                self.hits += 1
                return stored.answer
        answer = self.fetch(url, headers)
        if may_keep(answer[0], answer[1], authorized="authorization" in lower):
            names = [one.strip().lower() for one in answer[1].get("Vary", "").split(",") if one.strip()]
            if "*" not in names:
                selecting = {name: lower.get(name) for name in names}
                self.kept.setdefault(url, []).append(_Stored(selecting, answer))
        return answer


def may_keep(status: int, headers: Headers, *, authorized: bool) -> bool:
    """Whether a shared cache may keep an answer to a GET and use it again unasked (RFC 9111 sections 3 and 3.5)."""
    said = directives(", ".join(headers.getlist("Cache-Control")))
    if "no-store" in said or "private" in said or "no-cache" in said:
        return False
    if authorized and not {"public", "s-maxage", "must-revalidate"} & set(said):
        return False
    explicit = {"public", "max-age", "s-maxage"} & set(said) or "Expires" in headers
    return bool(explicit) or status in HEURISTIC
