"""The issuer as this server talks to it: its endpoints, the exchange of a code, introspection and userinfo."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlsplit

from server.auth.fetch import Post, is_loopback
from server.auth.strict_json import parse_object
from server.errors import Busy, Unauthenticated


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """What OpenID Connect Discovery 1.0 section 3 says of an issuer; "" for what it does not have.

    `names_itself`: it says `iss` in every answer to an authorization request (RFC 9207 section 3).
    """

    authorization: str
    token: str
    end_session: str = ""
    introspection: str = ""
    userinfo: str = ""
    names_itself: bool = False


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a code was exchanged for; `identity` is the ID token, "" where there is none."""

    access: str
    identity: str


class Provider:
    """One issuer, to which this server is `client`, with a `secret` ("" for a public client).

    `fetch` returns the body at a URL, given an `Authorization` as well if there is one, and raises `OSError` or
    `ValueError`; `post` is as of `http_post`.
    """

    def __init__(
        self,
        issuer: str,
        client: str,
        *,
        fetch: Callable[..., bytes],
        post: Post,
        secret: str = "",
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._fetch = fetch
        self._post = post
        self._secret = secret

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
            introspection=_url(document, "introspection_endpoint", optional=True),
            userinfo=_url(document, "userinfo_endpoint", optional=True),
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """The tokens for an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

        Raises `Unauthenticated` where the issuer refuses, `Busy` where it does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        status, document = self._form(self.endpoints().token, form)
        token, identity = document.get("access_token"), document.get("id_token", "")
        if status != 200 or not isinstance(token, str) or not isinstance(identity, str):
            raise Unauthenticated("the issuer refused the code", error="")
        return Tokens(access=token, identity=identity)

    def introspect(self, token: str) -> Mapping[str, object]:
        """What the issuer says of a token (RFC 7662 section 2). Raises `Busy` where it does not say."""
        endpoint = self.endpoints().introspection
        if not endpoint:
            raise Busy("the issuer has no introspection endpoint")
        status, document = self._form(endpoint, {"token": token, "token_type_hint": "access_token"})
        if status != 200:
            raise Busy("the issuer does not let this server ask about tokens")
        return document

    def userinfo(self, token: str) -> Mapping[str, object]:
        """OpenID Connect Core section 5.3. Raises `Busy` where there is no answer, or one that is not plain JSON."""
        endpoint = self.endpoints().userinfo
        if not endpoint:
            raise Busy("the issuer has no userinfo endpoint")
        try:
            return parse_object(self._fetch(endpoint, f"Bearer {token}"))
        except (OSError, ValueError) as error:
            raise Busy("the issuer's userinfo cannot be fetched") from error

    def _form(self, endpoint: str, form: Mapping[str, str]) -> tuple[int, Mapping[str, object]]:
        """Post as this client: its secret in the header that every server understands (RFC 6749 section 2.3.1)."""
        named, authorization = {**form, "client_id": self._client}, ""
        if self._secret:
            pair = f"{quote_plus(self._client)}:{quote_plus(self._secret)}"
            named, authorization = dict(form), f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"
        try:
            status, body = self._post(endpoint, named, authorization)
            return status, parse_object(body)
        except (OSError, ValueError) as error:
            raise Busy("the issuer does not answer") from error


def _url(document: Mapping[str, object], name: str, *, optional: bool = False) -> str:
    value = document.get(name)
    if optional and value is None:
        return ""
    if isinstance(value, str):
        parts = urlsplit(value)
        if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
            return value
    raise Busy("the issuer's configuration is not usable")
