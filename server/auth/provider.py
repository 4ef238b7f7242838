"""The issuer as a browser's sign-in sees it: its endpoints, and the exchange of a code for an access token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3

from server.auth.fetch import is_loopback
from server.auth.strict_json import parse_object
from server.errors import Busy, Unauthenticated

_LONGEST = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """What OpenID Connect Discovery 1.0 section 3 says of an issuer; `end_session` is "" where it has none."""

    authorization: str
    token: str
    end_session: str


class Provider:
    """One issuer. `fetch` returns the body at a URL and raises `OSError` or `ValueError`; `timeout` in seconds."""

    def __init__(self, issuer: str, client: str, *, fetch: Callable[[str], bytes], timeout: float = 5.0) -> None:
        self._issuer = issuer
        self._client = client
        self._fetch = fetch
        self._timeout = timeout

    def endpoints(self) -> Endpoints:
        """The issuer's endpoints as it publishes them now. Raises `Busy` where they cannot be had."""
        try:
            document = parse_object(self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"))
        except (OSError, ValueError) as error:
            raise Busy("the issuer's configuration cannot be fetched") from error
        if document.get("issuer") != self._issuer:
            raise Busy("the issuer's configuration is another issuer's")
        return Endpoints(
            authorization=_url(document, "authorization_endpoint"),
            token=_url(document, "token_endpoint"),
            end_session=_url(document, "end_session_endpoint", optional=True),
        )

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The access token for an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

        Raises `Unauthenticated` where the issuer refuses, `Busy` where it does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
            "client_id": self._client,
        }
        try:
            with requests.Session() as session:
                endpoint = self.endpoints().token
                session.trust_env = not is_loopback(urlsplit(endpoint).hostname or "")
                answer = session.post(endpoint, data=form, timeout=self._timeout, allow_redirects=False, stream=True)
                document = parse_object(answer.raw.read(_LONGEST, decode_content=True))
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise Busy("the issuer does not answer") from error
        token = document.get("access_token")
        if answer.status_code != 200 or not isinstance(token, str):
            raise Unauthenticated("the issuer refused the code", error="")
        return token


def _url(document: Mapping[str, object], name: str, *, optional: bool = False) -> str:
    value = document.get(name)
    if optional and value is None:
        return ""
    if isinstance(value, str):
        parts = urlsplit(value)
        if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
            return value
    raise Busy("the issuer's configuration is not usable")
