"""Where everything is: read once at start from one TOML file and the environment, checked, frozen.

Every setting `name` may be given as `SAFELIGHT_NAME` in the environment, which wins over the file named by
`SAFELIGHT_CONFIG`. Nothing that is secret has a default, and secrets themselves are never settings: the keyring is a
file of its own, named here and kept apart from the data.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.errors import ConfigurationError
from server.model import Zone

DEMO_MARK = "demo.json"
_WHOLE = frozenset({
    "port", "workers", "threads", "max_request_bytes", "max_object_bytes", "decoder_bytes", "decodes", "cache_bytes",
    "answer_bytes",
})  # fmt: skip
_REPOSITORY_POLICIES = Path(__file__).resolve().parent.parent / "policies"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one server.

    `data` holds database, sealed objects and journal; `keyring` the key-encryption keys, outside of `data`.
    `database` is a SQLAlchemy URL. `public_url` is the origin that clients see, without a trailing slash.
    `issuer` and `audience` are what a token must say; `claims` maps roles, project, purpose, patient and departments
    to claim paths. `zones` maps a network zone to its networks (CIDR), `time_zone` is the hospital's (IANA), for rules
    that look at either. `max_request_bytes` bounds one request body, `max_object_bytes` one inflated object. `decodes`
    is how many frames one worker decodes and masks at a time, `decode_wait_seconds` how long a request waits for its
    turn; `cache_bytes` bounds the prepared forms, `answer_bytes` the masked answers that are kept.
    """

    data: Path
    keyring: Path
    issuer: str
    audience: str
    public_url: str
    database: str
    policies: Path
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519")
    token_types: tuple[str, ...] = ("at+jwt", "application/at+jwt")
    claims: Mapping[str, str]
    client_id: str = "safelight"
    host: str = "127.0.0.1"
    certificate: Path | None = None
    certificate_key: Path | None = None
    port: int = 8080
    workers: int = 2
    threads: int = 4
    max_request_bytes: int = 512 * 1024 * 1024
    max_object_bytes: int = 1024 * 1024 * 1024
    decoder_seconds: float = 30.0
    decoder_bytes: int = 4 * 1024 * 1024 * 1024
    decodes: int = 4
    decode_wait_seconds: float = 10.0
    cache_bytes: int = 1024 * 1024 * 1024
    answer_bytes: int = 4 * 1024 * 1024 * 1024
    policy_reload_seconds: float = 5.0
    time_zone: str = "UTC"
    zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def objects(self) -> Path:
        return self.data / "objects"

    @property
    def journal(self) -> Path:
        return self.data / "journal"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings of a production server. Raises `ConfigurationError` naming what is missing or unknown."""
    values: dict[str, object] = {}
    if "SAFELIGHT_CONFIG" in environment:
        try:
            values |= tomllib.loads(Path(environment["SAFELIGHT_CONFIG"]).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the file named by SAFELIGHT_CONFIG cannot be read: {error}") from error
    known = {item.name: item for item in fields(Settings)}
    for name in known:
        if (text := environment.get(f"SAFELIGHT_{name.upper()}")) is not None:
            values[name] = text
    if unknown := sorted(set(values) - set(known)):
        raise ConfigurationError(f"unknown settings: {', '.join(unknown)}")
    missing = sorted({"data", "keyring", "issuer", "audience", "public_url"} - set(values))
    if missing:
        raise ConfigurationError(f"these settings have no default: {', '.join(missing)}")
    data = Path(str(values["data"])).resolve()
    values.setdefault("database", f"sqlite:///{data / 'catalog.sqlite'}")
    values.setdefault("policies", str(_REPOSITORY_POLICIES))
    values.setdefault("claims", {})
    return check(Settings(**{name: _convert(name, value) for name, value in values.items()}))  # type: ignore[arg-type]


def _convert(name: str, value: object) -> object:
    """One value of the file or the environment as the type that its setting has."""
    if name in {"data", "keyring", "policies", "certificate", "certificate_key"}:
        return Path(str(value)).resolve()
    if name in {"algorithms", "token_types"}:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(map(str, _list(name, value)))
    if name == "claims":
        return {key: str(path) for key, path in _table(name, value).items()}
    if name == "zones":
        return {key: tuple(map(str, _list(name, networks))) for key, networks in _table(name, value).items()}
    return _convert_number(name, value)


def _convert_number(name: str, value: object) -> object:
    if name in _WHOLE:
        return _number(name, value, int)
    if name in {"decoder_seconds", "decode_wait_seconds", "policy_reload_seconds"}:
        return _number(name, value, float)
    return str(value)


def _table(name: str, value: object) -> dict[str, object]:
    try:
        table = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ConfigurationError(f"{name} is a JSON object when it is given in the environment") from error
    if not isinstance(table, dict):
        raise ConfigurationError(f"{name} is a table")
    return {str(key): item for key, item in table.items()}


def _list(name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{name} is a list")
    return value


def _number(name: str, value: object, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(str(value))
    except ValueError as error:
        raise ConfigurationError(f"{name} is a number") from error
    if number <= 0:
        raise ConfigurationError(f"{name} is a number above 0")
    return number


def is_loopback(host: str) -> bool:
    """Whether a host name or address only reaches this machine (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3)."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def check(settings: Settings) -> Settings:
    """Return the settings if no two of them contradict each other; `ConfigurationError` otherwise."""
    public = urlsplit(settings.public_url)
    if public.scheme not in {"http", "https"} or not public.netloc or public.path or public.query:
        raise ConfigurationError("public_url is an origin such as https://films.example.org")
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        raise ConfigurationError("public_url is https except on the loopback address")
    if (settings.certificate is None) != (settings.certificate_key is None):
        raise ConfigurationError("certificate and certificate_key go together")
    if not is_loopback(settings.host) and settings.certificate is None:
        raise ConfigurationError("plaintext is served on the loopback address only: set a certificate, or put a proxy")
    allowed = {"roles", "project", "purpose", "patient", "departments"}
    if unknown := sorted(set(settings.claims) - allowed):
        raise ConfigurationError(f"unknown claims: {', '.join(unknown)}")
    try:
        ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError("time_zone is a name such as Europe/Berlin") from error
    if unknown := sorted(set(settings.zones) - (set(Zone) - {Zone.UNKNOWN})):
        raise ConfigurationError(f"unknown zones: {', '.join(unknown)}")
    try:
        zone_of("::1", settings.zones)
    except ValueError as error:
        raise ConfigurationError("zones are lists of networks such as 10.1.0.0/16") from error
    return settings


def zone_of(address: str | None, zones: Mapping[str, tuple[str, ...]]) -> Zone:
    """The zone of the smallest network that an IP address is in; `unknown` for none and for what is no address."""
    try:
        here = ip_address(address or "")
    except ValueError:
        return Zone.UNKNOWN
    networks = [(ip_network(network), Zone(name)) for name, listed in zones.items() for network in listed]
    around = [(network.prefixlen, zone) for network, zone in networks if here in network]
    # Of two zones that name the same network, neither is believed.
    longest = {zone for length, zone in around if length == max(length for length, _ in around)}
    return longest.pop() if len(longest) == 1 else Zone.UNKNOWN


def check_production(settings: Settings) -> Settings:
    """Refuse what belongs to the demonstration: its data directory and its issuer, on whatever address."""
    if (settings.data / DEMO_MARK).exists():
        raise ConfigurationError("this data directory belongs to the demo")
    if urlsplit(settings.issuer).path.rstrip("/").endswith("/provider/demo"):
        raise ConfigurationError("the demo's provider is not an issuer for a real server")
    return settings
