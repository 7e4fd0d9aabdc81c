"""Commands that take several names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import typer

from mlxhub_site.commands.outcome import CommandFailed
from mlxhub_site.commands.output import harmless

T = TypeVar("T")


def for_each(things: Iterable[T], act: Callable[[T], None]) -> None:
    """Call ``act`` with each, also where it fails for one of them.

    Raises the last failure, by which the command ends; those before it are told here.
    """
    failures: list[CommandFailed] = []
    for thing in things:
        try:
            act(thing)
        except CommandFailed as error:
            failures.append(error)
    for failure in failures[:-1]:
        typer.echo(f"Error: {harmless(str(failure))}", err=True)
    if failures:
        raise failures[-1]
