"""The key pair that signs the journal. Where the private half is kept, and wrapped, is not decided here."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from server.errors import ConfigurationError
from server.model import Randomness

PUBLIC_NAME = "verify.pub"


def generate(randomness: Randomness) -> Ed25519PrivateKey:
    """A new signing key (RFC 8032: its seed is 32 random bytes)."""
    return Ed25519PrivateKey.from_private_bytes(randomness.bytes(32, "audit signing key"))


def private_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 secret bytes, to be wrapped before they are stored."""
    return key.private_bytes_raw()


def load_private(raw: bytes) -> Ed25519PrivateKey:
    """The signing key of its 32 bytes. Raises `ConfigurationError` for another length."""
    if len(raw) != 32:
        raise ConfigurationError("the signing key of the journal has 32 bytes")
    return Ed25519PrivateKey.from_private_bytes(raw)


def public_text(key: Ed25519PublicKey) -> bytes:
    """The public half as PEM (RFC 8410)."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(directory: Path) -> Ed25519PublicKey:
    """The public key beside the journal. Who can write there can replace it: an auditor brings an own copy.

    Raises `ConfigurationError` if it is missing or not an Ed25519 key.
    """
    try:
        key = load_pem_public_key((directory / PUBLIC_NAME).read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("the public key of the journal cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError("the public key of the journal is not an Ed25519 key")
    return key
