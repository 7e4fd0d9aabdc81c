"""`mlx-hub doctor`: the health checks and the machine, with what to do, in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import typer
from rich.table import Table

from mlxhub_site.commands.hub.options import here_only, quiet
from mlxhub_site.commands.outcome import ExitCode
from mlxhub_site.commands.output import AsJson, console, print_json, text

_MARKS = {"ok": "[green]ok[/]", "degraded": "[yellow]degraded[/]", "down": "[red]down[/]",
          "fixed": "[green]fixed[/]"}  # fmt: skip


@dataclass(frozen=True)
class Line:
    label: str
    state: str
    detail: str
    remedy: str
    cure: Callable[[], None] | None = None


@here_only("it looks at the machine. `mlx-hub status` asks another hub for its health.")
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is safe to mend.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at the hub and the machine, and say what to do. Exit status 1 where something is down."""
    with quiet():
        lines = [_mended(line) if fix else line for line in _lines()]
    if as_json:
        print_json([
            {"label": each.label, "state": each.state, "detail": each.detail,
             "remedy": each.remedy, "can_fix": each.cure is not None}
            for each in lines
        ])  # fmt: skip
    else:
        _print(lines)
    if any(line.state == "down" for line in lines):
        raise typer.Exit(ExitCode.FAILED)


def _lines() -> Iterator[Line]:
    from django.conf import settings

    from apps.system.health import run_checks
    from mlxhub_site.upkeep.diagnosis import examine

    for found in examine(settings.HUB):
        yield Line(found.label, found.state, found.detail, found.remedy, found.cure)
    for checked in run_checks().checks:
        finding = checked.finding
        yield Line(checked.label, finding.state, finding.detail, finding.remedy)


def _mended(line: Line) -> Line:
    if line.cure is None:
        return line
    try:
        line.cure()
    except OSError as error:
        return replace(line, remedy=f"It can't be mended here: {error.strerror}. {line.remedy}")
    return replace(line, state="fixed", remedy="", cure=None)


def _print(lines: list[Line]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        said = text(line.detail) + (f"\n[bold]{text(line.remedy)}[/]" if line.remedy else "")
        table.add_row(text(line.label), _MARKS[line.state], said.strip())
    out = console()
    out.print(table)
    if curable := sum(line.cure is not None for line in lines):
        out.print(f"`mlx-hub doctor --fix` mends {curable} of these.")
