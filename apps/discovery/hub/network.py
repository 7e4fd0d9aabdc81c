"""What kept an answer from coming, in words that a person can act on."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx2


class Trouble(NamedTuple):
    """Why there is no answer, and what to do about it."""

    why: str
    """Ends the sentence on who can't be reached."""
    remedy: str
    """Begins the sentence that ends in "then try again"."""


_NETWORK = "Check the network"
_ADDRESS = "Check the network, and MLXHUB_HF_ENDPOINT where it is set"
_CERTIFICATE = (
    "Where a proxy reads what passes through, set SSL_CERT_FILE to a file with its certificate and "
    "restart the hub"
)

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)

_BY_CAUSE: tuple[tuple[type[BaseException], Trouble], ...] = (
    (socket.gaierror, Trouble("this machine finds no address for that name", _ADDRESS)),
    (ssl.SSLCertVerificationError, Trouble("its certificate is not trusted", _CERTIFICATE)),
    (ssl.SSLError, Trouble("no encrypted connection could be made", _ADDRESS)),
    (ConnectionRefusedError, Trouble("nothing takes connections there", _ADDRESS)),
)
"""What the system said, below the library's own error."""

_BY_ERROR: tuple[tuple[type[httpx2.HTTPError], Trouble], ...] = (
    (httpx2.TimeoutException, Trouble("it gave no answer in time", _NETWORK)),
    (httpx2.ProxyError, Trouble("the proxy refused to pass it on", "Check HTTPS_PROXY")),
    (httpx2.ConnectError, Trouble("no connection could be made", _NETWORK)),
    (httpx2.NetworkError, Trouble("the connection broke off", _NETWORK)),
    (httpx2.RemoteProtocolError, Trouble("the connection broke off", _NETWORK)),
    (
        httpx2.UnsupportedProtocol,
        Trouble("that is no web address", "Write MLXHUB_HF_ENDPOINT with https:// before it"),
    ),
    (httpx2.TooManyRedirects, Trouble("it leads from address to address", _ADDRESS)),
)
"""The first that fits."""

_OTHER = Trouble("what came can't be understood", _ADDRESS)


def trouble_of(error: httpx2.HTTPError) -> Trouble:
    """What an error of the library's session means."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
            return Trouble("this machine has no way to it", _NETWORK)
        for kind, trouble in _BY_CAUSE:
            if isinstance(cause, kind):
                return trouble
    return next((trouble for kind, trouble in _BY_ERROR if isinstance(error, kind)), _OTHER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What the error was made of, one from the other; the library hides what the system said."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
