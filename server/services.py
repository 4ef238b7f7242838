"""The one place where the real things are opened and closed: keys, database, sealed store, journal, policy, decoder.

Everything fails here, at the start, rather than at the first request (house rule 7).
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from server.audit.journal import Journal, begin
from server.audit.keys import load_private
from server.auth.fetch import http_fetch, http_post
from server.auth.issuers import Issuer, Issuers, open_issuer
from server.auth.keys import DiscoveredKeys, KeySource
from server.auth.provider import Provider
from server.catalog.catalog import Catalog
from server.catalog.database import open_engine
from server.catalog.keys import WrappedKey
from server.catalog.migrate import migrate
from server.errors import ConfigurationError
from server.fingerprints import code_fingerprint, decoding_fingerprint, rendition_fingerprint
from server.model import Randomness
from server.pixels.base import SEGMENTS
from server.pixels.pool import DecoderPool, Gate
from server.policy.bundle import BundleHolder, Pinned
from server.screening.device_list import DeviceList
from server.screening.devices import DEVICES_FILE
from server.settings import Settings
from server.vault.bases import SealedBases
from server.vault.cache import SealedCache, SealedCaches
from server.vault.copies import SealedCopies
from server.vault.envelope import derive
from server.vault.keyring import KeyringFile, KeyService, check_apart
from server.vault.objects import ObjectStore
from server.vault.rows import RowSealer
from server.vault.wishes import Wishes

_LOG = logging.getLogger("safelight.screening")
KEY_BYTES = 32
ROOT_CONTEXT = "root key"


class SystemRandomness:
    """The operating system's source; a label changes nothing."""

    def bytes(self, count: int, label: str) -> bytes:  # noqa: ARG002
        return secrets.token_bytes(count)


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that a use case needs, open and checked.

    `clock` gives seconds since the epoch; `code` names the program that makes the answers, to the byte. `digest_key`,
    `etag_key`, `cache_key` and the keys inside the others all derive from one root key that the key service wraps;
    project and study keys are random and wrapped one by one.
    """

    settings: Settings
    clock: Callable[[], float]
    randomness: Randomness
    keys: KeyService
    catalog: Catalog
    sealer: RowSealer
    objects: ObjectStore
    copies: SealedCopies
    bases: SealedBases
    wishes: Wishes
    series_wishes: Wishes
    cache: SealedCache
    cache_key: bytes
    answers: SealedCaches
    gate: Gate
    code: str
    journal: Journal
    journal_seal_key: bytes
    policy: BundleHolder | Pinned
    devices: DeviceList
    decoder: DecoderPool
    tokens: Issuers
    digest_key: bytes
    etag_key: bytes
    engine: Engine

    @contextmanager
    def at_once(self) -> Iterator[Services]:
        """These services with the catalogue as it is at one moment; see `Catalog.at_once`."""
        with self.catalog.at_once() as catalog:
            yield self._with("catalog", catalog)

    def pinned(self) -> Services:
        """These services with the policy that is in force now, whatever comes into force meanwhile."""
        return self._with("policy", self.policy.pinned())

    def _with(self, name: str, value: object) -> Services:
        """As `dataclasses.replace`, which takes its time over so many fields."""
        made = copy(self)
        made.__dict__[name] = value
        return made

    def study_key(self, study_instance_uid: str) -> bytes:
        """The data key of a study, made at first use. Raises `KeyUnavailable`, `SealBroken`."""
        label = f"study-key/{study_instance_uid}"
        return self.unwrapped(self.catalog.study_key(study_instance_uid, lambda context: self._fresh(label, context)))

    def new_study_key(self, study_instance_uid: str) -> WrappedKey:
        """A key for a study that has none, which is in force once its first instance is registered with it."""
        label = f"study-key/{study_instance_uid}"
        return self.catalog.new_study_key(study_instance_uid, lambda context: self._fresh(label, context))

    def project_key(self, project: str) -> bytes:
        """The pseudonym key of a project, made at first use; apart from the key-encryption keys, so that rotating
        those changes no pseudonym. Raises as `study_key`."""
        label = f"project-key/{project}"
        return self.unwrapped(self.catalog.project_key(project, lambda context: self._fresh(label, context)))

    def _fresh(self, label: str, context: str) -> bytes:
        return self.keys.wrap(self.randomness.bytes(KEY_BYTES, label), context)

    def unwrapped(self, key: WrappedKey) -> bytes:
        """Raises `KeyUnavailable`, `SealBroken`."""
        return self.keys.unwrap(key.wrapped, key.context)

    def close(self) -> None:
        """End the child processes and the database's connections."""
        self.decoder.close()
        self.engine.dispose()


def initialise(settings: Settings, randomness: Randomness) -> None:
    """Make keyring, data directory, root key, tables and journal of a new server.

    Raises `ConfigurationError` if any of them is there already or the keyring would lie inside the data directory.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_apart(settings.keyring, settings.data)
    settings.keyring.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _root_file(settings).exists():
        raise ConfigurationError("the data directory holds a server already")
    keys = KeyringFile.create(settings.keyring, randomness)
    root = randomness.bytes(KEY_BYTES, "root-key")
    write_root(settings, keys.wrap(root, ROOT_CONTEXT))
    settings.objects.mkdir(mode=0o700, exist_ok=True)
    begin(settings.journal, _signing_key(root))
    engine = open_engine(settings.database)
    migrate(engine)
    engine.dispose()


def open_services(
    settings: Settings,
    *,
    randomness: Randomness,
    clock: Callable[[], float],
    key_source: KeySource | None = None,
) -> Services:
    """Open everything. `key_source` replaces the discovery of the issuer's keys: for the demo, whose provider is here.

    Raises `ConfigurationError`, `PolicyError` or `SealBroken`: then there is no server.
    """
    policy = BundleHolder(settings.policies)
    check_apart(settings.keyring, settings.data)
    keys = KeyringFile.open(settings.keyring, randomness)
    try:
        root = keys.unwrap(_root_file(settings).read_bytes(), ROOT_CONTEXT)
    except OSError as error:
        raise ConfigurationError("the data directory has not been initialised") from error
    engine = open_engine(settings.database)
    migrate(engine)
    sealer = RowSealer(derive(root, "rows"), randomness)
    return Services(
        settings=settings,
        clock=clock,
        randomness=randomness,
        keys=keys,
        catalog=Catalog(engine, sealer=sealer, index_key=derive(root, "index"), randomness=randomness),
        sealer=sealer,
        objects=ObjectStore(settings.objects, randomness),
        copies=SealedCopies(settings.data / "copies", randomness, decoding_fingerprint()),
        bases=SealedBases(
            settings.data / "bases",
            randomness,
            form=rendition_fingerprint(),
            parts=SEGMENTS,
            capacity=settings.base_bytes,
        ),
        wishes=Wishes(settings.data / "wishes"),
        series_wishes=Wishes(settings.data / "series-wishes"),
        cache=SealedCache(settings.data / "cache", randomness, settings.cache_bytes),
        cache_key=derive(root, "cache"),
        answers=SealedCaches(settings.data / "answers", randomness, settings.answer_bytes),
        gate=Gate(settings.decodes, settings.decode_wait_seconds),
        code=code_fingerprint(),
        journal=Journal(
            settings.journal,
            signing_key=_signing_key(root),
            seal_key=derive(root, "journal"),
            randomness=randomness,
            clock=clock,
        ),
        journal_seal_key=derive(root, "journal"),
        policy=policy,
        devices=DeviceList((settings.policies / DEVICES_FILE).read_bytes, _LOG.error),
        decoder=DecoderPool(settings.threads, settings.decoder_seconds, settings.decoder_bytes),
        tokens=_issuers(settings, clock, key_source),
        digest_key=derive(root, "digests"),
        etag_key=derive(root, "entity tags"),
        engine=engine,
    )


def _issuers(settings: Settings, clock: Callable[[], float], key_source: KeySource | None) -> Issuers:
    fetch, post = http_fetch(clock=time.monotonic), http_post(clock=time.monotonic)
    opened: list[Issuer] = []
    for one in settings.all_issuers:
        secret = ""
        if one.client_secret:
            try:
                secret = Path(one.client_secret).read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                raise ConfigurationError("the file of a client's secret cannot be read") from error
            if not secret:
                raise ConfigurationError("the file of a client's secret is empty")
        keys = key_source if key_source is not None and one.issuer == settings.issuer else None
        opened.append(
            open_issuer(
                one,
                keys=keys or DiscoveredKeys(one.issuer, fetch=fetch, clock=time.monotonic),
                provider=Provider(one.issuer, one.client_id, fetch=fetch, post=post, secret=secret),
                clock=clock,
                cache_seconds=settings.token_cache_seconds,
            )
        )
    return Issuers(tuple(opened))


def rotate(services: Services) -> int:
    """Make a new key-encryption key and wrap every key anew under it; returns how many. Films stay as they are."""
    services.keys.rotate()
    count = 0
    for key in services.catalog.all_wrapped():
        services.catalog.replace_wrapped(key, services.keys.rewrap(key.wrapped, key.context))
        count += 1
    write_root(services.settings, services.keys.rewrap(_root_file(services.settings).read_bytes(), ROOT_CONTEXT))
    return count + 1


def _root_file(settings: Settings) -> Path:
    return settings.data / "root.key"


def write_root(settings: Settings, wrapped: bytes) -> None:
    """Replace the wrapped root key, durably: losing it would lose every film."""
    final = _root_file(settings)
    temporary = final.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(wrapped)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(final)
    directory = os.open(settings.data, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _signing_key(root: bytes) -> Ed25519PrivateKey:
    return load_private(derive(root, "journal signature"))
