"""The envelope: round trips, vectors that say how they must fail, and every attack on the sealed form."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_helpers import OTHER_KEY, STUDY_KEY, opens, record_nonces

from server.errors import SealBroken, TooLarge
from server.model import ObjectReference
from server.vault import envelope

SALT = b"\x05" * 32
REFERENCE = ObjectReference(name="00112233445566778899aabbccddeeff", kind="content", version=3, segments=3)
SEGMENTS = [b"first segment", b"", b"third"]
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())


def seal(segments: Sequence[bytes | memoryview] = SEGMENTS, reference: ObjectReference = REFERENCE) -> bytes:
    return b"".join(envelope.seal_segments(STUDY_KEY, reference, segments, SALT))


def open_object(sealed: bytes, reference: ObjectReference = REFERENCE, key: bytes = STUDY_KEY) -> list[bytes]:
    """Open every segment the way the store does, out of bytes in memory."""
    size = envelope.head_size(reference)
    head = envelope.open_head(key, reference, sealed[:size])
    if head.object_size != len(sealed):
        raise SealBroken
    spans = [head.span(index) for index in range(reference.segments)]
    return [head.open_segment(index, sealed[at : at + length]) for index, (at, length) in enumerate(spans)]


def test_derive_is_rfc_5869() -> None:
    # The expansion of one block by hand: T(1) = HMAC(PRK, info | 0x01), with PRK = HMAC(salt, key).
    prk = hmac.digest(b"salt", STUDY_KEY, "sha256")
    assert envelope.derive(STUDY_KEY, "rows", b"salt") == hmac.digest(prk, b"rows\x01", "sha256")
    prk = hmac.digest(b"\x00" * 32, STUDY_KEY, "sha256")
    assert envelope.derive(STUDY_KEY, "rows") == hmac.digest(prk, b"rows\x01", "sha256")


def test_derived_keys_differ_by_key_label_and_salt() -> None:
    keys = [envelope.derive(k, label, s) for k in (STUDY_KEY, OTHER_KEY) for label in "ab" for s in (b"", b"s")]
    assert len(set(keys)) == 8


@pytest.mark.parametrize("key", [b"", b"\x01" * 16, b"\x01" * 31, b"\x01" * 33])
def test_keys_of_another_length_are_refused(key: bytes) -> None:
    with pytest.raises(ValueError):
        envelope.derive(key, "label")
    with pytest.raises(ValueError):
        envelope.seal_value(key, b"value", "context", b"\x00" * 12)
    with pytest.raises(ValueError):
        envelope.open_value(key, b"\x01" + b"\x00" * 40, "context")
    with pytest.raises(ValueError):
        envelope.seal_segments(key, REFERENCE, SEGMENTS, SALT)


def test_a_label_is_needed() -> None:
    with pytest.raises(ValueError):
        envelope.derive(STUDY_KEY, "")


@given(value=st.binary(max_size=200), context=st.text(max_size=20), nonce=st.binary(min_size=12, max_size=12))
@settings(max_examples=50, deadline=None)
def test_values_come_back(value: bytes, context: str, nonce: bytes) -> None:
    sealed = envelope.seal_value(STUDY_KEY, value, context, nonce)
    assert len(sealed) == len(value) + 29
    assert envelope.open_value(STUDY_KEY, sealed, context) == value
    assert not opens(lambda: envelope.open_value(STUDY_KEY, sealed, context + "x"))
    assert not opens(lambda: envelope.open_value(OTHER_KEY, sealed, context))


def test_a_A9_a_value_with_any_bit_flipped_or_any_length_changed_is_refused() -> None:
    sealed = envelope.seal_value(STUDY_KEY, b"a value", "context", b"\x09" * 12)
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        assert not opens(envelope.open_value, STUDY_KEY, bytes(altered), "context")
    for length in range(len(sealed)):
        assert not opens(envelope.open_value, STUDY_KEY, sealed[:length], "context")
    assert not opens(lambda: envelope.open_value(STUDY_KEY, sealed + b"\x00", "context"))


def test_a_nonce_has_twelve_bytes() -> None:
    with pytest.raises(ValueError):
        envelope.seal_value(STUDY_KEY, b"value", "context", b"\x00" * 11)


@given(segments=st.lists(st.binary(max_size=60), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_objects_come_back(segments: list[bytes]) -> None:
    reference = replace(REFERENCE, segments=len(segments))
    assert open_object(seal(segments, reference), reference) == segments


def test_views_of_any_shape_are_sealed_as_their_bytes() -> None:
    samples = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    empty = np.zeros((0, 3), dtype=np.float64)
    reference = replace(REFERENCE, segments=2)
    sealed = seal([samples.data, empty.data], reference)
    assert open_object(sealed, reference) == [samples.tobytes(), b""]
    with pytest.raises(ValueError):
        seal([samples.transpose().data, b""], reference)


def test_segments_must_be_as_many_as_the_reference_says() -> None:
    for segments in ([], SEGMENTS[:2], [*SEGMENTS, b""]):
        with pytest.raises(ValueError):
            seal(segments)
    with pytest.raises(ValueError):
        seal([], replace(REFERENCE, segments=0))
    with pytest.raises(ValueError):
        envelope.seal_segments(STUDY_KEY, REFERENCE, SEGMENTS, SALT[:16])


def test_a_segment_too_long_for_one_call_is_refused_before_anything_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "_LONGEST_SEGMENT", 12)
    with pytest.raises(TooLarge):
        seal()


def test_a_A9_every_flipped_bit_is_refused() -> None:
    sealed = seal()
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        assert not opens(open_object, bytes(altered))


def test_a_A9_truncation_at_every_byte_and_trailing_bytes_are_refused() -> None:
    sealed = seal()
    for length in range(len(sealed)):
        assert not opens(open_object, sealed[:length])
    assert not opens(lambda: open_object(sealed + b"\x00"))
    assert not opens(lambda: open_object(sealed + sealed))


@pytest.mark.parametrize(
    "other",
    [
        replace(REFERENCE, name="00112233445566778899aabbccddeefe"),
        replace(REFERENCE, kind="regions"),
        replace(REFERENCE, kind="conten"),
        replace(REFERENCE, version=2),
        replace(REFERENCE, version=4),
        replace(REFERENCE, segments=2),
        replace(REFERENCE, segments=4),
        replace(REFERENCE, segments=0),
        replace(REFERENCE, segments=2**40),
        # The same letters, divided otherwise between name and kind.
        replace(REFERENCE, name=REFERENCE.name + "c", kind="ontent"),
    ],
    ids=repr,
)
def test_a_A9_an_object_opens_as_itself_only(other: ObjectReference) -> None:
    assert not opens(lambda: open_object(seal(), other))


def test_a_A9_an_object_of_another_study_is_refused() -> None:
    assert not opens(lambda: open_object(seal(), key=OTHER_KEY))


def test_a_A9_segments_cannot_change_places_even_at_equal_lengths() -> None:
    sealed = seal([b"one", b"two", b"six"])
    size = envelope.head_size(REFERENCE)
    head, parts = sealed[:size], [sealed[size + 19 * i : size + 19 * (i + 1)] for i in range(3)]
    opened = envelope.open_head(STUDY_KEY, REFERENCE, head)
    for index in range(3):
        for part in range(3):
            assert opens(opened.open_segment, index, parts[part]) == (index == part)
    assert not opens(lambda: opened.open_segment(3, parts[0]))


def test_a_A9_a_segment_of_an_equal_object_with_another_salt_is_refused() -> None:
    size = envelope.head_size(REFERENCE)
    ours = seal()
    other = b"".join(envelope.seal_segments(STUDY_KEY, REFERENCE, SEGMENTS, b"\x06" * 32))
    assert not opens(lambda: open_object(ours[:size] + other[size:]))
    assert not opens(lambda: open_object(other[:37] + ours[37:]))


def test_a_A9_a_shorter_object_cannot_be_made_of_the_head_of_a_longer_one() -> None:
    # Its first two segments, resealed by nobody: count and last flag are part of what each segment swears to.
    longer = seal([b"aa", b"bb", b"cc"])
    shorter = replace(REFERENCE, segments=2)
    assert not opens(lambda: open_object(longer[: 37 + 16 + 16 + 18 * 2], shorter))


def test_a_A9_no_key_meets_a_nonce_twice_in_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    used = record_nonces(monkeypatch)
    for salt in (SALT, b"\x06" * 32):
        for version in (1, 2):
            for name in ("00" * 16, "11" * 16):
                for kind in ("content", "regions"):
                    reference = ObjectReference(name=name, kind=kind, version=version, segments=3)
                    list(envelope.seal_segments(STUDY_KEY, reference, SEGMENTS, salt))
    assert len(used) == len(set(used)) == 16 * 4


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_vector(vector: dict[str, str]) -> None:
    """Each vector says whether it opens, and if not, which part must refuse it."""
    sealed = bytes.fromhex(vector["sealed"])
    size = envelope.head_size(REFERENCE)
    if vector["expect"] == "success":
        assert open_object(sealed) == SEGMENTS
        return
    if vector["expect"] == "head refused":
        assert not opens(lambda: envelope.open_head(STUDY_KEY, REFERENCE, sealed[:size]))
        return
    head = envelope.open_head(STUDY_KEY, REFERENCE, sealed[:size])
    assert (head.object_size != len(sealed)) == (vector["expect"] == "size refused")
    assert not opens(lambda: open_object(sealed))


def test_the_good_vector_is_the_documented_form() -> None:
    """Sealed once more from the description alone, so that neither form nor labels can drift unnoticed."""

    def bound(label: bytes) -> bytes:
        texts = [label, REFERENCE.name.encode(), b"content"]
        return b"\x01" + b"".join(len(t).to_bytes(4, "big") + t for t in texts) + (3).to_bytes(8, "big")

    key = HKDF(algorithm=SHA256(), length=32, salt=SALT, info=bound(b"object key")).derive(STUDY_KEY)
    table = b"".join(len(segment).to_bytes(8, "big") for segment in SEGMENTS)
    count = (3).to_bytes(8, "big")
    parts = [AESGCM(key).encrypt((3).to_bytes(12, "big"), table, bound(b"object table") + count)]
    for index, segment in enumerate(SEGMENTS):
        associated = bound(b"object segment") + index.to_bytes(8, "big") + count + bytes([index == 2])
        parts.append(AESGCM(key).encrypt(index.to_bytes(12, "big"), segment, associated))
    sealed = b"SFLO\x01" + SALT + b"".join(parts)
    assert sealed == seal()
    assert sealed.hex() == next(v["sealed"] for v in VECTORS if v["expect"] == "success")
