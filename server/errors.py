"""Every way a request can fail, and the public words for it. What a log may say stands apart from what a caller reads.

The table from these classes to HTTP statuses is `server/web/errors.py`.
"""

from __future__ import annotations


class SafelightError(Exception):
    """Base of all errors that the server raises on purpose. `public` is safe to send to anybody.

    The argument, if any, is for the operator's log and must not carry identity either.
    """

    public = "the request could not be answered"

    def __init__(self, private: str = "") -> None:
        super().__init__(private or self.public)


class BadRequest(SafelightError):
    """The request is malformed (400). `public` may be replaced by a sentence about the request's form."""

    def __init__(self, public: str = "the request is malformed") -> None:
        super().__init__(public)
        self.public = public


class InvalidUID(BadRequest):
    """A UID in a path or query is not a UID (PS3.5 section 9.1)."""

    def __init__(self) -> None:
        super().__init__("a UID in the request is not a valid UID")


class Unauthenticated(SafelightError):
    """No token, or one that does not verify (401). `error` is an RFC 6750 code, "" when no token was sent."""

    public = "a valid bearer token is required"

    def __init__(self, private: str = "", *, error: str = "invalid_token") -> None:
        super().__init__(private)
        self.error = error


class StepUp(Unauthenticated):
    """The act wants a fresher or stronger sign-in than this one (401; RFC 9470 section 3).

    `max_age` in seconds; `contexts` are the `acr` values that would do, none where any does.
    """

    public = "this act needs a fresh sign-in"

    def __init__(self, *, max_age: int = 0, contexts: tuple[str, ...] = ()) -> None:
        super().__init__("the sign-in is too old, or not of a kind that this act wants")
        self.error = "insufficient_user_authentication"
        self.max_age = max_age
        self.contexts = contexts


class Forbidden(SafelightError):
    """The caller's role never has this action (403)."""

    def __init__(self, public: str = "the acting role does not have this action") -> None:
        super().__init__(public)
        self.public = public


class NotFound(SafelightError):
    """There is nothing here that this caller may see (404), whether or not something exists."""

    public = "not found"


class MethodNotAllowed(SafelightError):
    """The resource has no such method (405)."""

    public = "the method is not allowed"


class NotAcceptable(SafelightError):
    """None of the acceptable media types can be produced at this level (406)."""

    public = "none of the acceptable representations is available"


class Conflict(SafelightError):
    """The store already holds something that this would contradict (409)."""

    public = "conflicts with what is stored"


class PreconditionFailed(SafelightError):
    """The resource is no longer what the request says it was, or the request does not say (412, 428)."""

    public = "the film has changed in the meantime; read it again"


class TooLarge(SafelightError):
    """The request exceeds a limit (413)."""

    public = "the request is too large"


class UnsupportedMediaType(SafelightError):
    """The payload's media type is not taken (415)."""

    public = "the media type of the payload is not supported"


class UnreadableObject(SafelightError):
    """A DICOM object cannot be parsed or contradicts itself; nothing of it is stored."""

    public = "the object cannot be understood"


class UnsupportedPixels(SafelightError):
    """The pixel data has a form or transfer syntax that is not decoded here."""

    public = "the pixel data cannot be decoded"


class DecodeFailed(SafelightError):
    """The decoder refused, crashed, hung or ran out of memory on the pixel data (500)."""

    public = "the pixel data could not be decoded"


class DetectorNonsense(SafelightError):
    """A detector gave regions that cannot be (500): outside of the frame, without size, not a number."""

    public = "the film could not be screened"


class SealBroken(SafelightError):
    """A sealed object or row does not authenticate (500): altered, swapped, truncated, or the wrong key."""

    public = "the stored object failed its integrity check"


class KeyUnavailable(SafelightError):
    """The key service cannot wrap or unwrap (503)."""

    public = "the key service is not available"


class StorageUnavailable(SafelightError):
    """The sealed store cannot be written (503): the disk is full, say."""

    public = "the store cannot be written"


class AuditUnavailable(SafelightError):
    """The audit entry could not be made durable, so there is no answer (503)."""

    public = "the audit journal is not available"


class RangeNotSatisfiable(SafelightError):
    """No byte of the representation, which has `length` bytes, is in the asked range (416)."""

    public = "the representation has no such range"

    def __init__(self, length: int = 0) -> None:
        super().__init__()
        self.length = length


class TooMany(SafelightError):
    """Too many requests of a person, or wrong credentials from an address (429); `seconds` until it is worth trying."""

    public = "too many requests"

    def __init__(self, seconds: int = 60) -> None:
        super().__init__()
        self.seconds = seconds


class Busy(SafelightError):
    """Try again later (503 with Retry-After)."""

    public = "the server is busy"


class Overtaken(Busy):
    """Somebody else was quicker, and nothing was changed: trying again at once is right."""


class PolicyError(SafelightError):
    """The policy bundle is not valid; the start is refused, or the former bundle stays in force."""

    public = "the policy bundle is not valid"


class ConfigurationError(SafelightError):
    """A setting is missing or unsafe; the process does not start."""

    public = "the configuration is not valid"
