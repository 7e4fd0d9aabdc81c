"""One POST to an address that was checked, and to no other: no redirect is followed."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from apps.outgoing.addresses import LookUp, Target, look_up, target_of
from apps.outgoing.errors import NotDelivered

TIMEOUT = 10.0
"""Seconds for each step: to connect, to send, to get the first line."""

LONGEST = 30.0
"""Seconds for all of them: a server that sends a byte now and then outlasts each step's limit."""

Payload = Mapping[str, Any]


class _Http(http.client.HTTPConnection):
    """Connects to the checked address, whatever the name means by now."""

    def __init__(self, target: Target, timeout: float) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self._target = target

    def connect(self) -> None:
        where = (self._target.address, self._target.port)
        self.sock = socket.create_connection(where, self.timeout)
        if self._target.scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    @contextmanager
    def cut_off_after(self, seconds: float) -> Iterator[None]:
        """Whoever reads or writes when the time is over finds the connection closed."""
        timer = threading.Timer(seconds, self._cut_off)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut_off(self) -> None:
        with suppress(OSError, AttributeError):  # not connected yet, or not any more
            self.sock.shutdown(socket.SHUT_RDWR)


def post_json(
    url: str,
    payload: Payload,
    *,
    allow_private: bool = False,
    timeout: float = TIMEOUT,
    look_up: LookUp = look_up,
) -> int:
    """POST ``payload`` as JSON; the status, which is a success.

    Raises BadTarget before anything is sent, and NotDelivered where it did not arrive.
    """
    body = json.dumps(payload).encode()
    return post_body(url, body, allow_private=allow_private, timeout=timeout, look_up=look_up)


def post_body(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    allow_private: bool = False,
    timeout: float = TIMEOUT,
    look_up: LookUp = look_up,
) -> int:
    """As ``post_json`` for JSON that is bytes already; ``headers``: such as their signature."""
    target = target_of(url, allow_private=allow_private, look_up=look_up)
    sent = {
        "Host": target.netloc,
        "Content-Type": "application/json",
        "User-Agent": "mlx-model-hub",
        **(headers or {}),
    }
    connection = _Http(target, timeout)
    try:
        with connection.cut_off_after(LONGEST):
            connection.request("POST", target.path, body, sent)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"{target.host} did not answer: {error}.") from error
    finally:
        connection.close()
    if 300 <= status < 400:
        raise NotDelivered(
            f"{target.host} answered with a redirect ({status}), which the hub does not follow. "
            "Give the address it leads to.",
            status=status,
        )
    if status >= 400:
        raise NotDelivered(f"{target.host} answered {status}.", status=status)
    return status
