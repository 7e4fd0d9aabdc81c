"""What kept an answer from coming is told in words, and as it is in the log."""

from __future__ import annotations

import errno
import logging
import socket
import ssl

import httpx2
import pytest

from apps.discovery import errors, hub
from apps.discovery.hub.network import trouble_of
from apps.discovery.tests.conftest import REPO
from apps.discovery.tests.hub_server import closed_port


def made_of(error: httpx2.HTTPError, cause: BaseException) -> httpx2.HTTPError:
    """``error`` as the library raises it: over one of its own, over what the system said."""
    own = RuntimeError("the library's own")
    own.__context__, own.__suppress_context__ = cause, True
    error.__cause__ = own
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (made_of(httpx2.ConnectError(""), socket.gaierror(-2, "")), "finds no address"),
        (made_of(httpx2.ConnectError(""), ssl.SSLCertVerificationError()), "is not trusted"),
        (made_of(httpx2.ConnectError(""), ssl.SSLError()), "no encrypted connection"),
        (made_of(httpx2.ConnectError(""), ConnectionRefusedError()), "nothing takes connections"),
        (made_of(httpx2.ConnectError(""), OSError(errno.ENETUNREACH, "")), "no way to it"),
        (httpx2.ConnectError(""), "no connection could be made"),
        (httpx2.ReadTimeout(""), "no answer in time"),
        (made_of(httpx2.ReadError(""), ConnectionResetError()), "broke off"),
        (httpx2.RemoteProtocolError(""), "broke off"),
        (httpx2.ProxyError(""), "the proxy refused"),
        (httpx2.UnsupportedProtocol(""), "no web address"),
        (httpx2.TooManyRedirects(""), "from address to address"),
        (httpx2.DecodingError(""), "can't be understood"),
    ],
)
def test_each_trouble_has_its_words(error: httpx2.HTTPError, why: str) -> None:
    assert why in trouble_of(error).why


def test_the_name_of_the_error_is_for_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    with caplog.at_level(logging.INFO), pytest.raises(errors.HubUnreachable) as raised:
        hub.find(REPO, None, hub.Access(endpoint))
    assert str(raised.value) == (
        f"{endpoint} can't be reached: nothing takes connections there. Check the network, and "
        "MLXHUB_HF_ENDPOINT where it is set, then try again."
    )
    assert "ConnectError" in caplog.text
