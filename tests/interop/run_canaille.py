"""Starts canaille with one user, one group and one client, in its own environment: PORT REDIRECT HOME as arguments.

Run by the Python of the interoperability environment, not by ours.
"""

from __future__ import annotations

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey


class Quiet(WSGIRequestHandler):
    """Writes no line per request."""

    def log_message(self, *_: object) -> None:
        return


def main(port: int, redirect: str, home: str) -> None:
    key = RSAKey.generate_key(2048, {"alg": "RS256", "use": "sig"}, auto_kid=True).as_dict(private=True)
    app = create_app(
        config={
            "SECRET_KEY": "only-for-the-test",
            "SERVER_NAME": f"127.0.0.1:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "TESTING": False,
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [key]},
            "CANAILLE": {"DATABASE": "memory", "EMAIL_CONFIRMATION": False},
        }
    )
    with app.app_context():
        Backend.instance.init_app(app)
        user = models.User(
            formatted_name="Maxima Muster",
            family_name="Muster",
            user_name="maxima",
            emails=["maxima@example.org"],
            password="correct horse battery",
        )
        Backend.instance.save(user)
        group = models.Group(display_name="clinician", members=[user])
        Backend.instance.save(group)
        client = models.Client(
            client_id="safelight",
            client_name="Safelight",
            client_uri="http://127.0.0.1",
            client_secret="only-for-the-test",
            contacts=[],
            redirect_uris=[redirect],
            post_logout_redirect_uris=[home],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            scope=["openid", "groups"],
            token_endpoint_auth_method="client_secret_basic",
        )
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)
    make_server("127.0.0.1", port, app, handler_class=Quiet).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
