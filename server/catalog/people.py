"""What the catalogue keeps of people who use it: their sessions, and the projects that they work for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from server.catalog import projects, sessions
from server.catalog.access import Access


class People:
    """The part of `Catalog` that is about nobody's films."""

    _access: Access

    # Projects

    def approve_project(self, name: str, until: date) -> None:
        projects.approve(self._access, name, until)

    def project_approved_until(self, name: str) -> date | None:
        return projects.approved_until(self._access, name)

    def projects(self) -> dict[str, date]:
        return projects.entered(self._access)

    # Browser sessions

    def put_session(self, digest: bytes, value: bytes, expires: float) -> None:
        sessions.put_session(self._access, digest, value, expires)

    def note_once(self, digest: bytes, now: float, expires: float) -> bool:
        return sessions.note_once(self._access, digest, now, expires)

    def replace_session(self, digest: bytes, value: bytes, expires: float) -> bool:
        return sessions.replace_session(self._access, digest, value, expires)

    def get_session(self, digest: bytes, now: float) -> bytes | None:
        return sessions.get_session(self._access, digest, now)

    def get_sessions(self, digests: Sequence[bytes], now: float) -> list[bytes | None]:
        return sessions.get_sessions(self._access, digests, now)

    def delete_session(self, digest: bytes) -> None:
        sessions.delete_session(self._access, digest)

    def delete_expired(self, now: float) -> int:
        return sessions.delete_expired(self._access, now)
