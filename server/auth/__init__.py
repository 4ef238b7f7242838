"""Who asks: bearer tokens (RFC 9068), the issuer's keys, the claims that make a `Caller`, browser sign-in values."""
