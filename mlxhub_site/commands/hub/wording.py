"""A hub's words in a terminal: where it names a route of its API, a command is named instead."""

from __future__ import annotations

import re

COMMANDS = {
    "/api/training/jobs": "mlx-hub jobs",
    "/api/disk": "mlx-hub disk",
    "/api/models": "mlx-hub list",
    "/api/datasets": "mlx-hub data list",
} | dict.fromkeys(
    (
        "/api/benchmarks",
        "/api/dataset-jobs",
        "/api/downloads",
        "/api/evaluations",
        "/api/models/jobs",
        "/api/publications",
    ),
    "mlx-hub jobs --all",
)
"""What shows in a terminal what a route answers."""

_ROUTE = re.compile(r"GET (/api/[\w./-]*\w)")
_MODEL = "/api/models/"


def in_commands(message: str) -> str:
    """The message, with a command for each route that there is one for."""
    return _ROUTE.sub(lambda found: _command(found[1]) or found[0], message)


def _command(path: str) -> str:
    command = COMMANDS.get(path)
    if command is None and path.startswith(_MODEL):
        command = f"mlx-hub show {path.removeprefix(_MODEL)}"
    return f"`{command}`" if command else ""
