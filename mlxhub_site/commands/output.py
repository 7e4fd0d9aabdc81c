"""What commands print: tables for people, JSON for programs, and bars where somebody looks.

Results go to standard output and everything else to standard error, so that a pipe gets
the result alone. Colours and bars are for terminals; NO_COLOR and a pipe turn them off
(https://no-color.org).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from unicodedata import category

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlxhub_site.commands.outcome import CommandFailed

WIDE = 100
"""Columns of a terminal from which a table shows everything."""

UNBROKEN = 10_000
"""Width where nobody looks: a program that reads lines wants them whole."""

DASH = Path("-")
"""The file that is standard output."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

Tell = Callable[[str, float], None]
"""Called with what is being done and how far it is, from 0 to 1."""


def console(*, stderr: bool = False) -> Console:
    """Where to print: as wide as the terminal, or without end where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty() or "COLUMNS" in os.environ:
        return Console(stderr=stderr, highlight=False)
    return Console(stderr=stderr, highlight=False, width=UNBROKEN)


def print_json(value: Any) -> None:
    """JSON on standard output, indented, in the order it came."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_json(content: str, to: Path) -> None:
    """JSON to a file, or to standard output for DASH. Raises CommandFailed."""
    if to == DASH:
        typer.echo(content)
        return
    try:
        to.write_text(f"{content}\n", encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{to} can't be written: {error.strerror}.") from error


def facts_table() -> Table:
    """Two columns without a heading: what it is called, what it is."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def text(value: object) -> str:
    """A value from elsewhere as a cell: never markup, never a control sequence."""
    return escape("".join(each if each.isprintable() else " " for each in str(value)))


def harmless(written: str) -> str:
    """What a model wrote, for a terminal: lines and tabs, but no sequence that steers it."""
    return "".join(each for each in written if each in "\n\t" or not _steers(each))


def _steers(character: str) -> bool:
    return category(character) in ("Cc", "Cf") and character not in "\u200c\u200d"


def scaled(number: float) -> str:
    """A count in at most three digits: 134515008 becomes ``135M``."""
    for scale, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= scale:
            return f"{number / scale:.3g}{letter}"
    return f"{number:.0f}"


@contextmanager
def progress_bar() -> Iterator[Tell]:
    """A bar on standard error, gone when it is over; nothing where nobody looks."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    )  # fmt: skip
    bar_console = console(stderr=True)
    with Progress(*columns, console=bar_console, transient=True) as bar:
        bar.disable = not bar_console.is_terminal
        task = bar.add_task("Starting", total=1.0)
        yield lambda doing, fraction: bar.update(
            task, completed=fraction, description=text(doing[:1].upper() + doing[1:])
        )
