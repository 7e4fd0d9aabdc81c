"""A scripted server in the place of whichever a benchmark measures.

``measured_server`` and ``addresses`` are fixtures for everybody (loaded by the top-level conftest).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.inference.benchmarks.measuring.client import ChatServer
from apps.inference.benchmarks.measuring.tests.scripted import ScriptedServer, plain


@pytest.fixture
def addresses() -> list[dict[str, Any]]:
    """What each measured server was opened with."""
    return []


@pytest.fixture
def measured_server(
    monkeypatch: pytest.MonkeyPatch, addresses: list[dict[str, Any]]
) -> Callable[..., ScriptedServer]:
    """Call it with a script to put the server in place; the default answers anything."""

    def put(script: Callable[[dict[str, Any]], Any] = lambda body: plain(100)) -> ScriptedServer:
        scripted = ScriptedServer(script)

        def opened(url: str, model: str, *, api_key: str | None = None) -> ChatServer:
            addresses.append({"url": url, "model": model, "api_key": api_key})
            return scripted.client()

        monkeypatch.setattr("apps.inference.benchmarks.conduct.ChatServer", opened)
        return scripted

    return put
