"""Keys: what a key set may hold, and when the cache asks the issuer again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from auth_tokens import ISSUER, JWKS, OTHER_KEY, RSA_KEY, SIGNING_KEY
from joserfc.util import int_to_base64

from server.auth.keys import DEMO_MARK, DiscoveredKeys, FixedKeys, public_keys
from server.demo.users import public_key_set
from server.errors import Busy, ConfigurationError, Unauthenticated

OURS = SIGNING_KEY["kid"]
PUBLIC = public_key_set(SIGNING_KEY)["keys"][0]


class Issuer:
    """An issuer and a clock that a test can turn."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[str] = []
        self.down = False
        self.discovery: object = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}
        self.jwks: object = JWKS

    def fetch(self, url: str) -> bytes:
        self.calls.append(url)
        if self.down:
            raise OSError
        return json.dumps(self.jwks if url.endswith("/jwks") else self.discovery).encode()

    def keys(self, issuer: str = ISSUER) -> DiscoveredKeys:
        return DiscoveredKeys(issuer, fetch=self.fetch, clock=lambda: self.now)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def test_keys_are_discovered_once(issuer: Issuer) -> None:
    keys = issuer.keys()
    assert keys.find(OURS).kid == OURS
    assert keys.find("rsa").kid == "rsa"
    assert issuer.calls == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/jwks"]


def test_a_slash_at_the_end_of_the_issuer_is_not_doubled(issuer: Issuer) -> None:
    issuer.discovery = {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/jwks"}
    issuer.keys(f"{ISSUER}/").find(OURS)
    assert issuer.calls[0] == f"{ISSUER}/.well-known/openid-configuration"


def test_an_unknown_key_is_asked_for_but_not_often(issuer: Issuer) -> None:
    keys = issuer.keys()
    keys.find(OURS)
    for _ in range(50):
        with pytest.raises(Unauthenticated):
            keys.find("unknown")
    assert len(issuer.calls) == 2
    issuer.now += 30
    issuer.jwks = public_key_set(OTHER_KEY)
    assert keys.find(OTHER_KEY["kid"]).kid == OTHER_KEY["kid"]
    assert len(issuer.calls) == 4
    with pytest.raises(Unauthenticated):
        keys.find(OURS)


def test_a_withdrawn_key_is_dead_after_the_lifetime(issuer: Issuer) -> None:
    keys = issuer.keys()
    keys.find(OURS)
    issuer.jwks = public_key_set(OTHER_KEY)
    issuer.now += 599
    keys.find(OURS)
    issuer.now += 1
    with pytest.raises(Unauthenticated):
        keys.find(OURS)


def test_old_keys_serve_for_the_grace_and_no_longer(issuer: Issuer) -> None:
    keys = issuer.keys()
    keys.find(OURS)
    issuer.down = True
    issuer.now += 719
    assert keys.find(OURS).kid == OURS
    issuer.now += 1
    with pytest.raises(Busy):
        keys.find(OURS)
    issuer.down = False
    issuer.now += 30
    assert keys.find(OURS).kid == OURS


def test_a_clock_that_was_set_back_ends_the_cache(issuer: Issuer) -> None:
    keys = issuer.keys()
    keys.find(OURS)
    issuer.down = True
    issuer.now -= 500
    with pytest.raises(Busy):
        keys.find(OURS)


def test_an_issuer_that_is_down_is_not_asked_for_every_request(issuer: Issuer) -> None:
    issuer.down = True
    keys = issuer.keys()
    for _ in range(20):
        with pytest.raises(Busy):
            keys.find(OURS)
    assert len(issuer.calls) == 1


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://other.example.org", "jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/jwks"},
        {"jwks_uri": f"{ISSUER}/jwks"},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": 1},
        {"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/jwks"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/jwks"},
        {"issuer": ISSUER, "jwks_uri": "https://[/jwks"},
        {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", DEMO_MARK: True},
        {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", DEMO_MARK: False},
        [],
        None,
    ],
)
def test_a_T4_keys_of_another_issuer_or_of_a_demo_are_not_taken(issuer: Issuer, discovery: object) -> None:
    issuer.discovery = discovery
    with pytest.raises(Busy):
        issuer.keys().find(OURS)


def test_a_bad_key_set_leaves_the_former_one(issuer: Issuer) -> None:
    keys = issuer.keys()
    keys.find(OURS)
    issuer.jwks = {"keys": []}
    issuer.now += 30
    with pytest.raises(Unauthenticated):
        keys.find("unknown")
    assert keys.find(OURS).kid == OURS


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "x"},
        SIGNING_KEY,
        {**PUBLIC, "use": "enc"},
        {**PUBLIC, "use": 1},
        {**PUBLIC, "key_ops": ["sign"]},
        {**PUBLIC, "key_ops": "verify"},
        {**PUBLIC, "key_ops": 5},
        {**PUBLIC, "kid": ""},
        {**PUBLIC, "kid": 1},
        {name: value for name, value in PUBLIC.items() if name != "kid"},
        {**PUBLIC, "y": PUBLIC["x"]},
        {**PUBLIC, "x": "*"},
        {**PUBLIC, "x": 1},
        {**PUBLIC, "crv": "P-1"},
        {**PUBLIC, "crv": "secp256k1"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "kid": "x"},
        {"kty": "RSA", "kid": "x", "n": None, "e": "AQAB"},
        {**PUBLIC, "kty": "new"},
        {**PUBLIC, "kty": ["EC"]},
        {"kty": "RSA", "kid": "x", "n": "AQAB", "e": "AQAB"},
        {"kid": "x"},
        [],
        "text",
        None,
    ],
)
def test_a_T2_a_key_that_is_no_public_signature_key_is_left_out(entry: object) -> None:
    with pytest.raises(ValueError, match="no usable key"):
        public_keys(json.dumps({"keys": [entry]}).encode())
    assert set(public_keys(json.dumps({"keys": [entry, *JWKS["keys"]]}).encode())) >= {"rsa"}


def test_a_T2_short_and_private_rsa_keys_are_left_out() -> None:
    short = {"kty": "RSA", "kid": "short", "n": int_to_base64((1 << 2046) + 1), "e": "AQAB"}
    private = RSA_KEY.as_dict(private=True)
    for entry in (short, private):
        with pytest.raises(ValueError, match="no usable key"):
            public_keys(json.dumps({"keys": [entry]}).encode())


def test_a_T2_two_keys_of_one_name_are_both_left_out() -> None:
    twin = {**public_key_set(OTHER_KEY)["keys"][0], "kid": OURS}
    assert set(public_keys(json.dumps({"keys": [*JWKS["keys"], twin]}).encode())) == {"rsa"}


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff"])
def test_a_document_that_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        FixedKeys(document)


def test_fixed_keys_know_only_theirs() -> None:
    keys = FixedKeys(json.dumps(JWKS).encode())
    assert keys.find(OURS).kid == OURS
    with pytest.raises(Unauthenticated):
        keys.find("unknown")


@pytest.mark.parametrize("times", [(0.0, 600.0, 1.0), (30.0, 10.0, 1.0), (30.0, 600.0, -1.0)])
def test_times_that_contradict_each_other_are_refused(times: tuple[float, float, float]) -> None:
    interval, lifetime, grace = times
    with pytest.raises(ConfigurationError):
        DiscoveredKeys(
            ISSUER, fetch=Issuer().fetch, clock=lambda: 0.0, minimum_interval=interval, lifetime=lifetime, grace=grace
        )


def together(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_many_threads_fetch_once(issuer: Issuer) -> None:
    keys = issuer.keys()
    found: list[str | None] = []
    together(16, lambda: found.append(keys.find(OURS).kid))
    assert found == [OURS] * 16
    assert len(issuer.calls) == 2


def test_nobody_waits_for_a_slow_issuer_while_an_old_key_serves(issuer: Issuer) -> None:
    asked, release = threading.Event(), threading.Event()
    release.set()

    def fetch(url: str) -> bytes:
        asked.set()
        assert release.wait(10)
        return issuer.fetch(url)

    keys = DiscoveredKeys(ISSUER, fetch=fetch, clock=lambda: issuer.now)
    keys.find(OURS)
    asked.clear()
    release.clear()
    issuer.now += 600
    refresher = threading.Thread(target=keys.find, args=(OURS,))
    refresher.start()
    assert asked.wait(10)
    assert keys.find(OURS).kid == OURS
    release.set()
    refresher.join(10)
