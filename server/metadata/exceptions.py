"""What no level sends, the one that keeps everything included."""

from __future__ import annotations

from collections.abc import Mapping

ORIGINAL_EXCEPTIONS: Mapping[int, str] = {
    0x04000500: "EncryptedAttributesSequence: what it encrypts cannot be masked",
    0x4FFE0001: "MACParametersSequence: belongs to signatures that a new encoding breaks",
    0xFFFAFFFA: "DigitalSignaturesSequence: a new encoding breaks signatures",
    0x7FE00001: "ExtendedOffsetTable: written anew",
    0x7FE00002: "ExtendedOffsetTableLengths: written anew",
    0x7FE00003: "EncapsulatedPixelDataValueTotalLength: written anew",
}
"""What even the level that keeps everything does not send, besides the preamble, group 0002, group lengths and the
transfer syntax; the image pixel attributes follow the form of the samples that are sent."""
