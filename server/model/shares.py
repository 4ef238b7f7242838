"""One study that a person opened to one other, at one level, for one purpose, until a time."""

from __future__ import annotations

from dataclasses import dataclass

from server.model.decisions import Caller

RECIPIENT = "recipient"
"""The role that no token gives: whoever is signed in may act in it, and is shown what was shared with them."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """What was shared. `identifier` is 32 random hexadecimal digits; it names a share and opens nothing.

    `study_row` is the study's row, so that another study stored under the same UID is another one. `giver` is the
    caller as they were when they shared, in their acting role, with the zone and the `acr` of that request. `secret` is
    the SHA-256 of the link's secret in hexadecimal, "" once the recipient has used it. `made` and `until` are in
    seconds since the epoch.
    """

    identifier: str
    study: str
    study_row: str
    level: str
    purpose: str
    giver: Caller
    recipient_issuer: str
    recipient: str
    secret: str
    made: float
    until: float

    @property
    def accepted(self) -> bool:
        return not self.secret
