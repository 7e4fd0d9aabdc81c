"""The base URL of an OpenAI-compatible API, checked."""

from __future__ import annotations

from urllib.parse import urlsplit

from apps.inference.benchmarks.measuring.errors import BadAddress

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def base_url(text: str) -> str:
    """``text`` without a closing slash, and with ``/v1`` where it names no path.

    Raises BadAddress for anything but http and https with a host and nothing else.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadAddress(f"{text!r} is no address: {error}.") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise BadAddress(
            f"{text!r} is no address of an API. Give one such as http://127.0.0.1:1234/v1."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadAddress("The address may hold a host, a port and a path, and nothing else.")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def host_of(url: str) -> str:
    """The host and port that ``url`` leads to."""
    return urlsplit(url).netloc


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine."""
    return urlsplit(url).hostname in LOOPBACK
