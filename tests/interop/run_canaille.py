"""Starts canaille with two users, two groups and two clients, in its own environment: PORT REDIRECT HOME as arguments.

The second client is a viewer in the browser at HOME: without a secret, and with no nonce, which a code with PKCE needs
not and OHIF does not send.

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
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [key],
                "REQUIRE_NONCE": False,
                "USERINFO_MAPPING": {"WEBSITE": "{{ user.organization or '' }}"},
            },
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
        other = models.User(
            formatted_name="Rita Muster",
            family_name="Muster",
            user_name="rita",
            emails=["rita@example.org"],
            password="correct horse battery",
            organization="a-project",
        )
        Backend.instance.save(other)
        Backend.instance.save(models.Group(display_name="researcher", members=[other]))
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
        viewer = models.Client(
            client_id="viewer",
            client_name="Viewer",
            client_uri=home,
            contacts=[],
            redirect_uris=[f"{home}callback"],
            post_logout_redirect_uris=[home],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "groups"],
            token_endpoint_auth_method="none",
        )
        Backend.instance.save(viewer)
        viewer.audience = [client]
        Backend.instance.save(viewer)
    make_server("127.0.0.1", port, app, handler_class=Quiet).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
