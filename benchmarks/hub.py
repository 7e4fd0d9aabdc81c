"""A hub of its own for a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.client import ChatServer
from tests.hub_process import STARTER, HubProcess, running_hub


@contextmanager
def benchmark_hub(
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[ChatServer, HubProcess]]:
    """`mlx-hub up` in an empty folder, with these settings, its starter model loaded."""
    with running_hub(settings) as process:
        server = ChatServer(process.port, STARTER)
        server.ask([{"role": "user", "content": "Hello"}], max_tokens=4)
        yield server, process
