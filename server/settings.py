"""Where everything is: read once at start from one TOML file and the environment, checked, frozen.

Every setting `name` may be given as `SAFELIGHT_NAME` in the environment, which wins over the file named by
`SAFELIGHT_CONFIG`. Nothing that is secret has a default, and secrets themselves are never settings: the keyring is a
file of its own, named here and kept apart from the data.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.errors import ConfigurationError
from server.model import Zone
from server.model.issuers import Freshness, IssuerSettings
from server.model.lists import Action
from server.setting_values import CLAIMS, convert, issuers, step_up

DEMO_MARK = "demo.json"
OFFICERS = ("system-administrator", "security-administrator", "security-auditor")
STEP_UP: Mapping[str, Freshness] = {
    action.value: Freshness(max_age=3600)
    for action in (
        *(Action.LABEL, Action.APPROVE_PROJECT, Action.SETTLE, Action.READ_AUDIT),
        *(Action.BREAK_GLASS, Action.REVIEW_GLASS, Action.SHARE),
    )
}
_REPOSITORY_POLICIES = Path(__file__).resolve().parent.parent / "policies"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one server.

    `data` holds database, sealed objects and journal; `keyring` the key-encryption keys, outside of `data`.
    `database` is a SQLAlchemy URL. `public_url` is the origin that clients see, without a trailing slash.
    `issuer` and `audience` are what a token must say; `claims` maps roles, project, purpose, patient and departments
    to claim paths; `issuers` are more issuers, each with settings of its own (`[[issuers]]` in the file), and where
    they name `issuer` again, instead of it. `token_cache_seconds` is how long an issuer's answer about a token is
    taken for true. A browser's session ends after `session_seconds`, and when it was not used for
    `session_idle_seconds`. `viewer_origins` are the origins whose pages may ask with bearer tokens (CORS).
    `proof_roles` are roles that a token of a program has only when it is bound to a key that the request proves to hold
    (RFC 9449); `proxies` are the addresses of proxies in front, whose X-Forwarded-For is believed;
    `failures_per_minute` are wrong credentials from one address before it is not listened to for a minute,
    `requests_per_minute` requests of one person or program, both in each worker process; `step_up` says for which
    actions a person must have signed in how lately and how (RFC 9470). `zones` maps a network zone to its networks
    (CIDR), `time_zone` is the hospital's (IANA), for rules that look at either. `max_request_bytes` bounds one request
    body, `max_object_bytes` one inflated object. `decodes` is how many frames one worker decodes and masks at a time,
    `decode_wait_seconds` how long a request waits for its turn; `cache_bytes` bounds the prepared forms, `answer_bytes`
    the masked answers that are kept, `base_bytes` the base renditions. `head_seconds` is how long the head of a request
    may take to come (and TLS to be agreed on), `stall_seconds` how long body or answer may stand still,
    `slowest_bytes_per_second` how slowly they may go.
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
    base_bytes: int = 16 * 1024 * 1024 * 1024
    policy_reload_seconds: float = 5.0
    time_zone: str = "UTC"
    zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    issuers: tuple[IssuerSettings, ...] = ()
    token_cache_seconds: float = 30.0
    session_seconds: float = 8 * 3600.0
    session_idle_seconds: float = 1800.0
    viewer_origins: tuple[str, ...] = ()
    proof_roles: tuple[str, ...] = OFFICERS
    proxies: tuple[str, ...] = ()
    failures_per_minute: int = 30
    requests_per_minute: int = 12_000
    head_seconds: float = 10.0
    stall_seconds: float = 20.0
    slowest_bytes_per_second: int = 8192
    step_up: Mapping[str, Freshness] = field(default_factory=lambda: dict(STEP_UP))

    @property
    def all_issuers(self) -> tuple[IssuerSettings, ...]:
        """Every issuer whose tokens are taken; browsers sign in at the first unless they say another."""
        if any(one.issuer == self.issuer for one in self.issuers):
            return self.issuers
        first = IssuerSettings(
            issuer=self.issuer,
            audience=self.audience,
            algorithms=self.algorithms,
            token_types=self.token_types,
            claims=self.claims,
            client_id=self.client_id,
        )
        return (first, *self.issuers)

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
    several = values["issuers"] = issuers(values.get("issuers", []))
    if several:
        values.setdefault("issuer", several[0].issuer)
        values.setdefault("audience", several[0].audience)
    missing = sorted({"data", "keyring", "issuer", "audience", "public_url"} - set(values))
    if missing:
        raise ConfigurationError(f"these settings have no default: {', '.join(missing)}")
    data = Path(str(values["data"])).resolve()
    values.setdefault("database", f"sqlite:///{data / 'catalog.sqlite'}")
    values.setdefault("policies", str(_REPOSITORY_POLICIES))
    values.setdefault("claims", {})
    if "step_up" in values:
        values["step_up"] = step_up(values["step_up"])
    converted = {
        name: value if name in {"issuers", "step_up"} else convert(name, value) for name, value in values.items()
    }
    return check(Settings(**converted))  # type: ignore[arg-type]


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
    for origin in settings.viewer_origins:
        parts = urlsplit(origin)
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if not secure or f"{parts.scheme}://{parts.netloc}" != origin or not parts.netloc or "*" in origin:
            raise ConfigurationError("viewer_origins are origins such as https://viewer.example.org, each in full")
    if (settings.certificate is None) != (settings.certificate_key is None):
        raise ConfigurationError("certificate and certificate_key go together")
    if not is_loopback(settings.host) and settings.certificate is None:
        raise ConfigurationError("plaintext is served on the loopback address only: set a certificate, or put a proxy")
    if unknown := sorted(set(settings.claims) - CLAIMS):
        raise ConfigurationError(f"unknown claims: {', '.join(unknown)}")
    _check_place_and_time(settings)
    return settings


def _check_place_and_time(settings: Settings) -> None:
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


def zone_of(address: str | None, zones: Mapping[str, tuple[str, ...]]) -> Zone:
    """The zone of the smallest network that an IP address is in; `unknown` for none and for what is no address."""
    if not zones:
        return Zone.UNKNOWN
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
    if any(urlsplit(one.issuer).path.rstrip("/").endswith("/provider/demo") for one in settings.all_issuers):
        raise ConfigurationError("the demo's provider is not an issuer for a real server")
    return settings
