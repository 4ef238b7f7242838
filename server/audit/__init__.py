"""The record: an append-only, hash-chained, signed journal in which nobody's identity is readable."""
