"""Requests on bare sockets: their answers need not be read, and can be left at any moment."""

from __future__ import annotations

import json
import socket
from typing import Any

from apps.inference.tests.conftest import Hub
from tests.fake_engine import PATIENCE


def post(hub: Hub, path: str, body: dict[str, Any]) -> socket.socket:
    """Sends a request and leaves the answer in the socket."""
    content = json.dumps(body).encode()
    connection = socket.create_connection((hub.host, hub.port), timeout=PATIENCE)
    head = f"POST {path} HTTP/1.1\r\nHost: {hub.host}\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection
