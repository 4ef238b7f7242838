"""Several issuers in the file of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.commands.opening import demo_settings
from server.errors import ConfigurationError
from server.model import Introspection
from server.settings import check_production, read_settings

FILE = """
data = "data"
keyring = "keys/keyring.json"
public_url = "https://films.example.org"
viewer_origins = ["https://viewer.example.org"]
session_idle_seconds = 600

[[issuers]]
issuer = "https://login.example.org/realms/hospital"
label = "the hospital"
audience = "films"
token_types = ["JWT"]
algorithms = ["RS256"]
client_claim = "azp"
client_id = "safelight"
claims = { roles = "realm_access.roles" }

[[issuers]]
issuer = "https://partner.example.net"
audience = "films"
introspection = "opaque"
client_id = "safelight"
roles_from_userinfo = true
role_names = { radiologists = "clinician" }
"""


def test_a_file_names_several_issuers_each_with_settings_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "safelight.toml"
    file.write_text(FILE, "utf-8")
    settings = read_settings({"SAFELIGHT_CONFIG": str(file)})
    first, second = settings.all_issuers
    assert (settings.issuer, settings.audience) == (first.issuer, "films")
    assert (first.token_types, first.client_claim, first.claims) == (("JWT",), "azp", {"roles": "realm_access.roles"})
    assert (second.introspection, second.role_names) == (Introspection.OPAQUE, {"radiologists": "clinician"})
    assert settings.session_idle_seconds == 600
    assert settings.viewer_origins == ("https://viewer.example.org",)
    alone = read_settings({
        "SAFELIGHT_CONFIG": str(file), "SAFELIGHT_ISSUERS": "[]", "SAFELIGHT_ISSUER": "https://x.example.org",
        "SAFELIGHT_AUDIENCE": "y",
    })  # fmt: skip
    (only,) = alone.all_issuers
    assert (only.issuer, only.audience, only.client_id) == ("https://x.example.org", "y", "safelight")


@pytest.mark.parametrize(
    "wrong",
    [
        'isuer = "https://x.example.org"', 'introspection = "sometimes"', 'roles_from_userinfo = "yes"',
        "longest_token_seconds = 0", 'claims = { role = "x" }', "claims = { roles = 1 }", "label = 1",
        'must_say = ["x"]',
    ],
)  # fmt: skip
def test_what_is_no_setting_of_an_issuer_is_no_server(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "safelight.toml"
    file.write_text(FILE + wrong, "utf-8")
    with pytest.raises(ConfigurationError):
        read_settings({"SAFELIGHT_CONFIG": str(file)})


def test_a_T4_the_demo_is_no_issuer_of_a_real_server_under_any_name(tmp_path: Path) -> None:
    file = tmp_path / "safelight.toml"
    demo = demo_settings(tmp_path / "demo", 8080).issuer
    file.write_text(f'{FILE}\n[[issuers]]\nissuer = "{demo}"\naudience = "films"\n', "utf-8")
    with pytest.raises(ConfigurationError):
        check_production(read_settings({"SAFELIGHT_CONFIG": str(file)}))
