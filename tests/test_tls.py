"""What TLS the server speaks: 1.2 and 1.3, forward secrecy and authenticated ciphers alone (RFC 9325)."""

from __future__ import annotations

import ssl
import warnings

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from test_dockerfile import self_signed

from server.web.serving import tls_context

Version = ssl.TLSVersion


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    # With an RSA key a server can do without forward secrecy too.
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    files = self_signed(tmp_path_factory.mktemp("tls") / "certificate", key)

    def lax() -> ssl.SSLContext:
        """What would take anything, if nothing were said."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files["SAFELIGHT_CERTIFICATE"], files["SAFELIGHT_CERTIFICATE_KEY"])
        _set(context, Version.TLSv1, Version.TLSv1_3, "ALL:@SECLEVEL=0")
        return context

    return tls_context(None, lax)


def _set(context: ssl.SSLContext, lowest: Version, highest: Version, ciphers: str) -> None:
    with warnings.catch_warnings():
        # That old versions are deprecated is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = lowest, highest
    context.set_ciphers(ciphers)


def shake(server: ssl.SSLContext, lowest: Version, highest: Version, ciphers: str) -> tuple[str, str]:
    """Version and cipher that a client of these and the server agree on. Raises `ssl.SSLError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _set(context, lowest, highest, ciphers)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, host = context.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for end in (client, host):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            break
    agreed = client.cipher()
    assert agreed is not None
    return str(client.version()), agreed[0]


@pytest.mark.parametrize(
    ("lowest", "highest", "ciphers"),
    [
        (Version.TLSv1, Version.TLSv1, "ALL:@SECLEVEL=0"),
        (Version.TLSv1_1, Version.TLSv1_1, "ALL:@SECLEVEL=0"),
        (Version.TLSv1_2, Version.TLSv1_2, "AES256-GCM-SHA384:@SECLEVEL=0"),
        (Version.TLSv1_2, Version.TLSv1_2, "ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"),
        (Version.TLSv1_2, Version.TLSv1_2, "AES128-SHA:@SECLEVEL=0"),
    ],
    ids=["1.0", "1.1", "no forward secrecy", "no authenticated cipher", "neither"],
)
def test_old_versions_and_weak_ciphers_are_refused(
    server: ssl.SSLContext, lowest: Version, highest: Version, ciphers: str
) -> None:
    with pytest.raises(ssl.SSLError):
        shake(server, lowest, highest, ciphers)


def test_1_2_and_1_3_are_spoken(server: ssl.SSLContext) -> None:
    assert shake(server, Version.TLSv1_2, Version.TLSv1_2, "DEFAULT")[0] == "TLSv1.2"
    assert shake(server, Version.TLSv1_2, Version.TLSv1_3, "DEFAULT")[0] == "TLSv1.3"
