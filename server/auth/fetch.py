"""The only network access of this stage: small documents of the issuer, over HTTPS."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests
import urllib3

MAXIMUM_DOCUMENT_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
Post = Callable[[str, Mapping[str, str], str], tuple[int, bytes]]


def http_fetch(
    *, clock: Callable[[], float], timeout: float = 5.0, deadline: float = 10.0, limit: int = MAXIMUM_DOCUMENT_BYTES
) -> Callable[..., bytes]:
    """Return a function that gets the body at a URL, sending the `Authorization` given beside it, if any.

    `timeout` bounds each wait and `deadline` the whole, in seconds, on `clock` (a monotonic one serves best); `limit`
    bounds the body in bytes. Redirects are not followed. The function raises `ValueError` for a URL that is neither
    HTTPS nor loopback, and `OSError` for every failure to get a complete answer with status 200.
    """
    exchange = _exchange(clock, timeout, deadline, limit)

    def fetch(url: str, authorization: str = "") -> bytes:
        status, body = exchange("GET", url, None, authorization)
        if status != 200:
            raise OSError("the issuer did not answer with 200")
        return body

    return fetch


def http_post(
    *, clock: Callable[[], float], timeout: float = 5.0, deadline: float = 10.0, limit: int = MAXIMUM_DOCUMENT_BYTES
) -> Post:
    """Return a function that posts a form with an `Authorization` ("" for none) and returns status and body.

    As `http_fetch`, but for every status.
    """
    exchange = _exchange(clock, timeout, deadline, limit)

    def post(url: str, form: Mapping[str, str], authorization: str) -> tuple[int, bytes]:
        return exchange("POST", url, form, authorization)

    return post


def _exchange(
    clock: Callable[[], float], timeout: float, deadline: float, limit: int
) -> Callable[[str, str, Mapping[str, str] | None, str], tuple[int, bytes]]:
    def exchange(method: str, url: str, form: Mapping[str, str] | None, authorization: str) -> tuple[int, bytes]:
        loopback = _check_url(url)
        started = clock()
        with requests.Session() as session:
            # A proxy from the environment is for other machines, not for this one. Nor does a file of the account's
            # get to say who we are.
            session.trust_env = not loopback
            session.auth = _as_given
            headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
            if authorization:
                headers["Authorization"] = authorization
            with session.request(
                method, url, data=form, headers=headers, timeout=timeout, allow_redirects=False, stream=True
            ) as response:
                if method == "GET" and response.status_code != 200:
                    return response.status_code, b""
                body = bytearray()
                try:
                    while chunk := response.raw.read1(_CHUNK_BYTES):
                        body += chunk
                        if len(body) > limit or not 0 <= clock() - started <= deadline:
                            raise OSError("the issuer's answer is too large or too slow")
                except urllib3.exceptions.HTTPError:
                    raise OSError("the issuer's answer broke off") from None
                return response.status_code, bytes(body)

    return exchange


def _as_given(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    return prepared


def _check_url(url: str) -> bool:
    """Return whether `url` is on this machine. Raises `ValueError` if it may not be fetched."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.fragment or not parts.hostname:
        raise ValueError("not an acceptable URL")
    loopback = is_loopback(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise ValueError("not an HTTPS URL")
    return loopback


def is_loopback(host: str) -> bool:
    """Return whether the host name or address literal `host` can only mean this machine (RFC 6761 section 6.3)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
