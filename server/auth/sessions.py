"""Values of a browser's sign-in: session identifiers, and an authorization code request with PKCE (RFC 7636).

No store and no network here. Only the digest of a session identifier may be kept; the browser holds the identifier in
a cookie and never sees a token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from server.errors import Unauthenticated
from server.model import Randomness

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_session_id(randomness: Randomness) -> str:
    """Return a fresh session identifier: 256 random bits as 43 characters that are safe in a cookie."""
    return _encoded(randomness.bytes(32, "session-id"))


def session_digest(session_id: str) -> str:
    """Return the name under which a session is stored: SHA-256 in hexadecimal.

    No key is needed, as 256 random bits cannot be guessed. Raises `Unauthenticated` for what is no identifier of ours.
    """
    if not _SESSION_ID.fullmatch(session_id):
        raise Unauthenticated("not a session identifier", error="")
    return hashlib.sha256(session_id.encode("ascii")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """One attempt to sign in: kept by the server until the browser comes back from the issuer, used once."""

    state: str
    nonce: str
    verifier: str

    def authorization_url(
        self, endpoint: str, *, client: str, redirect_uri: str, scope: str = "openid", resource: str | None = None
    ) -> str:
        """Return where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2)."""
        parameters = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": code_challenge(self.verifier),
            "code_challenge_method": "S256",
        }
        if resource is not None:
            parameters["resource"] = resource
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    def code(self, answer: Mapping[str, str], issuer: str) -> str:
        """Return the authorization code of the issuer's answer (its query parameters).

        Raises `Unauthenticated` if the answer is an error, not to this attempt (`state`), or, where it says so, not of
        this issuer (RFC 9207 section 2.4).
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), self.state.encode()):
            raise Unauthenticated("the sign-in answers another attempt", error="")
        if answer.get("iss", issuer) != issuer:
            raise Unauthenticated("the sign-in was answered by another issuer", error="")
        if "error" in answer or not answer.get("code"):
            raise Unauthenticated("the issuer did not sign the user in", error="")
        return answer["code"]


def new_sign_in(randomness: Randomness) -> SignIn:
    """Return a fresh attempt; every value holds 256 random bits."""
    return SignIn(
        state=_encoded(randomness.bytes(32, "sign-in-state")),
        nonce=_encoded(randomness.bytes(32, "sign-in-nonce")),
        verifier=_encoded(randomness.bytes(32, "sign-in-verifier")),
    )


def code_challenge(verifier: str) -> str:
    """Return the S256 challenge of an ASCII code verifier (RFC 7636 section 4.2)."""
    return _encoded(hashlib.sha256(verifier.encode("ascii")).digest())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
