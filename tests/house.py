"""A whole server in one process for the tests: fresh store, fixed clock and randomness, real keys, real decoders."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.auth.keys import FixedKeys
from server.demo.users import DemoUser, demo_users, mint_token, new_signing_key, public_key_set
from server.model import PatientIdentity
from server.policy import bundle
from server.policy.words import PolicyBundle
from server.screen import drain
from server.screening.detectors import Detectors, load
from server.services import Services, initialise, open_services
from server.settings import Settings
from server.web.app import create_app

POLICIES = Path(__file__).resolve().parents[1] / "policies"
NOW = 1_790_000_000.0
ORIGIN = "http://127.0.0.1:8080"
STEP = "multipart/related; type="


class FixedRandomness:
    """Bytes that follow from seed, label and how often the label was used: two houses of one seed draw alike."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._drawn: Counter[str] = Counter()

    def bytes(self, count: int, label: str) -> bytes:
        self._drawn[label] += 1
        name = f"{label}\x00{self._drawn[label]}".encode()
        out = b""
        while len(out) < count:
            out += hmac.digest(self._seed, name + len(out).to_bytes(4, "big"), hashlib.sha256)
        return out[:count]


@cache
def detector() -> Detectors:
    """One of each detector for the whole run: compiling them is the slow part."""
    return load()


_build_bundle = bundle.build


@cache
def _built(files: frozenset[tuple[str, bytes]]) -> PolicyBundle:
    return _build_bundle(dict(files))


def _built_once(files: Mapping[str, bytes]) -> PolicyBundle:
    """Bundles never change, and those of the same bytes are equal: building one is more than half of opening a house.

    A reload builds anew.
    """
    return _built(frozenset(files.items()))


class House:
    """One server under test. Close it, or use it as a context manager."""

    def __init__(
        self, root: Path, *, seed: str = "house", keyring: Path | None = None, policies: Path = POLICIES
    ) -> None:
        self.randomness = FixedRandomness(seed)
        self.now = NOW
        self.settings = Settings(
            data=root / "data",
            keyring=keyring or root / "keys" / "keyring.json",
            issuer=f"{ORIGIN}/provider/demo",
            audience=ORIGIN,
            public_url=ORIGIN,
            database=f"sqlite:///{root / 'data' / 'catalog.sqlite'}",
            policies=policies,
            claims={},
            proof_roles=(),
            step_up={},
            algorithms=("ES256",),
            threads=2,
        )
        self.provider_key = new_signing_key(FixedRandomness("provider"))
        initialise(self.settings, self.randomness)
        self.services = self._open()
        self.app = create_app(self.services)
        self.client: FlaskClient = self.app.test_client()

    def _open(self) -> Services:
        keys = FixedKeys(json.dumps(public_key_set(self.provider_key)).encode())
        with patch.object(bundle, "build", _built_once):
            return open_services(self.settings, randomness=self.randomness, clock=lambda: self.now, key_source=keys)

    def reopen(self) -> None:
        """Close and open everything, as a restart does."""
        self.close()
        self.services = self._open()
        self.app = create_app(self.services)
        self.client = self.app.test_client()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.services.close()

    def token(self, user: str, **changes: Any) -> str:
        """A token of a demo user, or of one made up from the role of that name; `changes` as of `DemoUser`."""
        known = demo_users().get(user) or DemoUser(name=user, roles=(user,))
        return mint_token(
            self.provider_key,
            replace(known, **changes),
            issuer=self.settings.issuer,
            audience=self.settings.audience,
            now=self.now,
            randomness=FixedRandomness(f"token/{user}"),
        )

    def own_patient(self, patient: PatientIdentity) -> str:
        """A token of a patient bound to `patient`."""
        return self.token("patient", patient=patient)

    def request(
        self,
        method: str,
        path: str,
        user: str,
        *,
        accept: str = "*/*",
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> TestResponse:
        """One request with a bearer token. Every response is read to its end, as a client would."""
        sent = {"Authorization": f"Bearer {token or self.token(user)}", "Accept": accept, **(headers or {})}
        response = self.client.open(path, method=method, headers=sent, **options)
        response.get_data()
        return response

    def get(self, path: str, user: str, accept: str = "*/*", **options: Any) -> TestResponse:
        return self.request("GET", path, user, accept=accept, **options)

    def store(self, *objects: bytes, user: str = "technologist", token: str | None = None) -> TestResponse:
        """STOW-RS of Part 10 objects."""
        boundary = "safelight-test-boundary"
        body = b"".join(
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + one + b"\r\n" for one in objects
        )
        return self.request(
            "POST",
            "/dicomweb/studies",
            user,
            accept="application/dicom+json",
            token=token,
            headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'},
            data=body + f"--{boundary}--\r\n".encode(),
        )

    def screen(self) -> int:
        """Screen everything that waits, in this process."""
        return drain(self.services, detector(), "test", lambda _: None)

    def instances(self, user: str, **options: Any) -> list[str]:
        """The paths of all instances that a user finds, in their own world, in the order they are given."""
        response = self.get("/dicomweb/instances", user, "application/dicom+json", **options)
        if response.status_code != 200:
            return []
        names = ("0020000D", "0020000E", "00080018")
        rows = [[row[name]["Value"][0] for name in names] for row in response.json or []]
        return [f"/dicomweb/studies/{study}/series/{series}/instances/{one}" for study, series, one in rows]


def parts(response: TestResponse) -> list[tuple[dict[str, str], bytes]]:
    """Header fields (names in lower case) and body of each part of a multipart response."""
    boundary = response.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
    found = []
    for piece in response.get_data().split(b"--" + boundary)[1:-1]:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = (line.partition(": ") for line in head.decode().split("\r\n"))
        found.append(({name.lower(): value for name, _, value in fields}, body[:-2]))
    return found
