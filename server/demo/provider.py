"""The demo's OpenID provider: OpenID Connect Core 1.0 with authorization code and PKCE (S256) for public clients.

It asks for no password and says so on its page and in its discovery document, by which a production server refuses it.
Tokens are not kept: one that was issued lives until it expires.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, current_app, jsonify, make_response, redirect, render_template_string, request
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from werkzeug.wrappers import Response as AnyResponse

from server.auth.keys import DEMO_MARK
from server.auth.strict_json import parse_object
from server.demo.authorization import (
    AuthorizationRequest,
    DemoClient,
    Grant,
    OneTimeCodes,
    SignIns,
    TokenRefused,
    UnsafeRequest,
    read_request,
)
from server.demo.pages import MESSAGE_PAGE, SIGN_IN_PAGE, STYLE
from server.demo.users import ALGORITHM, TOKEN_LIFETIME, DemoUser, mint_token, public_key_set, sign
from server.model import Randomness

COOKIE = "safelight-demo-sign-in"


def create_provider(
    *,
    issuer: str,
    signing_key: Mapping[str, str],
    users: Mapping[str, DemoUser],
    clients: Mapping[str, DemoClient],
    clock: Callable[[], float],
    randomness: Randomness,
    audience: str,
) -> Blueprint:
    """Return the provider as a blueprint under the path of `issuer`.

    `signing_key` is a private ES256 JWK (`new_signing_key`), `users` are keyed by name and `clients` by client ID,
    `audience` is the resource that every access token is for.
    """
    provider = _Provider(
        issuer=issuer,
        signing_key=signing_key,
        users=users,
        clients=clients,
        clock=clock,
        randomness=randomness,
        audience=audience,
    )
    return provider.blueprint()


class _Provider:
    def __init__(
        self,
        *,
        issuer: str,
        signing_key: Mapping[str, str],
        users: Mapping[str, DemoUser],
        clients: Mapping[str, DemoClient],
        clock: Callable[[], float],
        randomness: Randomness,
        audience: str,
    ) -> None:
        self._issuer = issuer
        self._path = urlsplit(issuer).path
        self._signing_key = signing_key
        self._users = users
        self._clients = clients
        self._clock = clock
        self._randomness = randomness
        self._audience = audience
        self._codes = OneTimeCodes(clock=clock, randomness=randomness)
        self._sign_ins = SignIns(clock=clock, randomness=randomness)
        self._origins = {_origin(uri) for client in clients.values() for uri in client.redirect_uris}

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("provider", __name__, url_prefix=self._path or None)
        blueprint.add_url_rule("/.well-known/openid-configuration", view_func=self.discovery)
        blueprint.add_url_rule("/jwks", view_func=self.jwks)
        blueprint.add_url_rule("/authorize", view_func=self.authorize)
        blueprint.add_url_rule("/authorize", view_func=self.choose, methods=["POST"])
        blueprint.add_url_rule("/token", view_func=self.token, methods=["POST"])
        blueprint.add_url_rule("/logout", view_func=self.logout, methods=["GET", "POST"])
        blueprint.after_request(self._guard)
        return blueprint

    def discovery(self) -> Response:
        """OpenID Connect Discovery 1.0 section 3."""
        document: dict[str, object] = {
            "issuer": self._issuer,
            "authorization_endpoint": f"{self._issuer}/authorize",
            "token_endpoint": f"{self._issuer}/token",
            "jwks_uri": f"{self._issuer}/jwks",
            "end_session_endpoint": f"{self._issuer}/logout",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid"],
            "prompt_values_supported": ["none", "login"],
            "authorization_response_iss_parameter_supported": True,
            DEMO_MARK: True,
        }
        return jsonify(document)

    def jwks(self) -> Response:
        """The public half of the signing key."""
        return jsonify(public_key_set(self._signing_key))

    def authorize(self) -> AnyResponse:
        """OpenID Connect Core section 3.1.2: answer at once if a user is known, else show the users."""
        try:
            asked = read_request(request.args.to_dict(flat=False), self._clients, self._audience)
        except UnsafeRequest:
            return self._message("This request names no client of the demo, or a place that is not its own.", 400)
        if asked.error:
            return redirect(asked.answer(self._issuer, error=asked.error), 303)
        known = self._sign_ins.find(request.cookies.get(COOKIE, ""))
        if known is not None and not asked.prompts & {"login", "select_account"}:
            return self._answered(asked, *known)
        if "none" in asked.prompts:
            return redirect(asked.answer(self._issuer, error="login_required"), 303)
        page = render_template_string(SIGN_IN_PAGE, users=self._users.values(), style=STYLE)
        return self._page(page, 200, _origin(asked.redirect_uri))

    def choose(self) -> AnyResponse:
        """Take the user chosen on the page; the authorization request is still in the URL."""
        # Another site must not be able to sign a browser in as somebody of its choice.
        if request.headers.get("Origin", _origin(self._issuer)) != _origin(self._issuer):
            return self._message("This form was sent from another site.", 403)
        user = self._users.get(request.form.get("user", ""))
        try:
            asked = read_request(request.args.to_dict(flat=False), self._clients, self._audience)
        except UnsafeRequest:
            return self._message("This request names no client of the demo, or a place that is not its own.", 400)
        if asked.error or user is None:
            return self._message("There is no such demo user.", 400)
        identifier, now = self._sign_ins.begin(user)
        answer = self._answered(asked, user, now)
        secure = urlsplit(self._issuer).scheme == "https"
        answer.set_cookie(COOKIE, identifier, path=self._path or "/", httponly=True, samesite="Lax", secure=secure)
        return answer

    def token(self) -> AnyResponse:
        """RFC 6749 section 4.1.3 and OpenID Connect Core section 3.1.3."""
        try:
            grant = self._codes.redeem(request.form.to_dict(flat=False))
        except TokenRefused as refusal:
            return make_response(jsonify(error=str(refusal)), 400)
        now, asked = self._clock(), grant.request
        access_token = mint_token(
            self._signing_key,
            grant.user,
            issuer=self._issuer,
            audience=self._audience,
            now=now,
            randomness=self._randomness,
            client=asked.client.client_id,
            scope=asked.scope,
        )
        digest = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": grant.user.subject,
            "aud": asked.client.client_id,
            "iat": int(now),
            "exp": int(now) + TOKEN_LIFETIME,
            "auth_time": int(grant.signed_in_at),
            "name": grant.user.name,
            "at_hash": base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
        }
        if asked.nonce:
            claims["nonce"] = asked.nonce
        return jsonify(
            access_token=access_token,
            token_type="Bearer",  # noqa: S106
            expires_in=TOKEN_LIFETIME,
            scope=asked.scope,
            id_token=sign(self._signing_key, claims, "JWT"),
        )

    def logout(self) -> AnyResponse:
        """OpenID Connect RP-Initiated Logout 1.0 section 2."""
        values = request.form if request.method == "POST" else request.args
        self._sign_ins.end(request.cookies.get(COOKIE, ""))
        client_id = values.get("client_id") or self._audience_of(values.get("id_token_hint", ""))
        client = self._clients.get(client_id)
        target, state = values.get("post_logout_redirect_uri", ""), values.get("state", "")
        if client is not None and target in client.post_logout_redirect_uris:
            query = urlencode({"state": state}) if state else ""
            joint = "&" if "?" in target else "?"
            answer: AnyResponse = redirect(f"{target}{joint}{query}" if query else target, 303)
        else:
            answer = self._message("You are signed out of the demo.", 200)
        answer.delete_cookie(COOKIE, path=self._path or "/")
        return answer

    def _audience_of(self, id_token: str) -> str:
        """Return the client of an ID token of ours, expired or not, or "" for anything else."""
        try:
            key = ECKey.import_key(dict(self._signing_key))
            audience = parse_object(jws.deserialize_compact(id_token, key, [ALGORITHM]).payload or b"").get("aud")
        except (JoseError, ValueError):
            return ""
        return audience if isinstance(audience, str) else ""

    def _answered(self, asked: AuthorizationRequest, user: DemoUser, signed_in_at: float) -> AnyResponse:
        code = self._codes.issue(Grant(request=asked, user=user, signed_in_at=signed_in_at))
        return redirect(asked.answer(self._issuer, code=code), 303)

    def _message(self, text: str, status: int) -> AnyResponse:
        return self._page(render_template_string(MESSAGE_PAGE, text=text, style=STYLE), status, "")

    def _page(self, body: str, status: int, form_target: str) -> AnyResponse:
        style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
        answer = current_app.response_class(body, status, mimetype="text/html")
        # A browser applies form-action to the redirect after the form as well, so the client's origin is in it.
        answer.headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {form_target}".rstrip()
        )
        return answer

    def _guard(self, answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        # Not no-referrer, under which a browser would send the form with the origin "null".
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        # A viewer of another origin may read discovery, keys and tokens; never with cookies.
        if request.headers.get("Origin") in self._origins and not request.path.endswith(("/authorize", "/logout")):
            answer.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        answer.headers.add("Vary", "Origin")
        return answer


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
