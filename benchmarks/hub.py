"""A hub of its own for a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client import ChatServer
from tests.hub_process import STARTER, running_hub


@contextmanager
def benchmark_hub() -> Iterator[tuple[ChatServer, Path]]:
    """`mlx-hub up` in an empty folder: the server, and the folder of its loaded starter model."""
    with running_hub() as process:
        server = ChatServer(process.port, STARTER)
        server.ask([{"role": "user", "content": "Hello"}], max_tokens=4)
        yield server, process.home / "models" / STARTER
