"""The demo's provider under the address of the server that it is for."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from server.demo.authorization import DemoClient
from server.demo.provider import create_provider
from server.demo.users import demo_users
from server.services import Services


def mount(app: Flask, services: Services, signing_key: Mapping[str, str]) -> None:
    """Add the provider of the demo users to the application; its one client is the application's own page."""
    settings = services.settings
    client = DemoClient(
        client_id=settings.client_id,
        redirect_uris=frozenset({f"{settings.public_url}/callback"}),
        post_logout_redirect_uris=frozenset({f"{settings.public_url}/"}),
    )
    provider = create_provider(
        issuer=settings.issuer,
        signing_key=signing_key,
        users=demo_users(),
        clients={client.client_id: client},
        clock=services.clock,
        randomness=services.randomness,
        audience=settings.audience,
    )
    app.register_blueprint(provider)
