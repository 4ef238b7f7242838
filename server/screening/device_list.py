"""The site's list of devices as it is in force: read anew when it has changed, kept where it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.errors import ConfigurationError
from server.screening.devices import DEVICES_FILE, DeviceRule, fingerprint, read_devices


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The rules of one moment, and what they say in few letters."""

    rules: tuple[DeviceRule, ...]
    fingerprint: str

    def version(self, detectors: str) -> str:
        """What is stored with a region set: detectors of this version, and these rules."""
        return f"{detectors}+devices:{self.fingerprint}"


class DeviceList:
    """`devices.toml`, as `read` gives it at any time. What is wrong in it leaves the former rules in force.

    `tell` is told what is wrong, once for every content.
    """

    def __init__(self, read: Callable[[], bytes], tell: Callable[[str], None]) -> None:
        self._read, self._tell = read, tell
        self._content: bytes | None = None
        self._refused: bytes | None = None
        self._current: Devices | None = None

    def current(self) -> Devices:
        """The rules in force. Raises `ConfigurationError` if there have been none so far that could be read."""
        try:
            content = self._read()
            if self._current is not None and content in (self._content, self._refused):
                return self._current
            rules = read_devices(content)
        except OSError as error:
            return self._former(f"{DEVICES_FILE} cannot be read: {error.strerror}", b"")
        except ConfigurationError as error:
            return self._former(str(error), content)
        self._content, self._refused = content, None
        self._current = Devices(rules=rules, fingerprint=fingerprint(rules))
        return self._current

    def _former(self, problem: str, content: bytes) -> Devices:
        if self._current is None:
            raise ConfigurationError(problem)
        if content != self._refused:
            self._tell(f"the changed list of devices is not in force: {problem}")
        self._refused = content
        return self._current
