"""What holds for all commands of `mlx-hub`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from mlxhub_site.cli import app

SENTENCES = {
    "chat", "completion", "engine", "keys revoke", "mlflow", "restart", "rm", "serve",
    "service install", "service status", "service uninstall", "unload", "up", "users create-owner",
    "users disable", "users enable", "users role", "version", "warm", "worker",
}  # fmt: skip
"""They do something and say so, talk with somebody, or become another program."""


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, command in group.commands.items():
        words = f"{above} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, words)
        else:
            yield words, command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_what_prints_data_prints_json_too(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert ("--json" in options) is (name not in SENTENCES), name


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_says_what_a_command_does(name: str) -> None:
    assert (COMMANDS[name].help or "").strip().endswith((".", "`"))
