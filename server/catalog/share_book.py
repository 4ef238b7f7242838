"""The part of the catalogue that is about what people share."""

from __future__ import annotations

from server.catalog import shares
from server.catalog.access import Access
from server.model import Share


class ShareBook:
    """Every operation of `shares` as a method, each explained there."""

    _access: Access

    def put_share(self, share: Share) -> bool:
        return shares.put(self._access, share)

    def share(self, identifier: str, now: float) -> Share | None:
        return shares.find(self._access, identifier, now)

    def accept_share(self, identifier: str, secret: str, now: float) -> Share | None:
        return shares.accept(self._access, identifier, secret, now)

    def end_share(self, identifier: str) -> bool:
        return shares.end(self._access, identifier)

    def shares_received(self, issuer: str, subject: str, now: float) -> list[Share]:
        return shares.received(self._access, issuer, subject, now)

    def shares_given(self, issuer: str, subject: str, now: float) -> list[Share]:
        return shares.given(self._access, issuer, subject, now)

    def shares_over(self, before: float) -> list[Share]:
        return shares.over(self._access, before)

    def all_shares(self, now: float) -> list[Share]:
        return shares.every(self._access, now)
