"""`mlx-hub soak`: a hub of its own under mixed load, with a verdict at the end."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.outcome import CommandFailed
from mlxhub_site.commands.output import DASH, console, write_json

if TYPE_CHECKING:
    from mlxhub_site.soak.traffic import Tally
    from mlxhub_site.soak.verdict import Finding
    from mlxhub_site.soak.watching import Watch


@here_only("it starts a hub of its own and watches its processes.")
def soak(
    minutes: Annotated[float, typer.Option(min=0.5, help="How long; 1440 is a day.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Of what the visitors ask.")] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write all samples; a dash: print them."),
    ] = None,
) -> None:
    """Drive a hub of its own with chats, leavers, loads, trainings and pages; then judge it.

    It starts in an empty folder with the starter model and is gone afterwards. Exit status 1
    where a limit was passed.
    """
    from mlxhub_site.soak.hub import soaked_hub
    from mlxhub_site.soak.kinds import KINDS
    from mlxhub_site.soak.traffic import traffic
    from mlxhub_site.soak.verdict import findings
    from mlxhub_site.soak.watching import watched

    out = console(stderr=json_file == DASH)
    with soaked_hub() as hub, watched(hub) as watch, traffic(hub, KINDS, seed) as tallies:
        out.print(f"A hub at {hub.url} under load for {minutes:g} minutes.")
        time.sleep(minutes * 60)
    found = findings(tallies, watch)
    _print(out, tallies, found, watch)
    if json_file is not None:
        write_json(json.dumps(_report(tallies, found, watch), indent=1), json_file)
    missed = [finding.name for finding in found if not finding.holds]
    if missed:
        raise CommandFailed(f"The soak failed: {', '.join(missed)}.")
    out.print("The soak passed.")


def _print(out: Console, tallies: dict[str, Tally], found: list[Finding], watch: Watch) -> None:
    from mlxhub_site.soak.verdict import trend

    visits = Table("Visitors", "Done", "Refused", "Failed", box=None)
    for name, tally in tallies.items():
        visits.add_row(name, f"{tally.done:,}", f"{tally.refused:,}", f"{tally.errors:,}")
    out.print(visits)
    for name, tally in tallies.items():
        for error in tally.first_errors:
            out.print(f"{name}: {error}", markup=False, highlight=False)
    limits = Table("Figure", "Value", "Limit", "", box=None)
    for finding in found:
        value, limit = (f"{x:.2f} {finding.unit}".rstrip() for x in (finding.value, finding.limit))
        if finding.error is not None:
            value += f" ± {finding.error:.2f}"
        limits.add_row(finding.name, value, limit, "ok" if finding.holds else "MISSED")
    for name, samples in (
        ("engine: growth beside its arrays", watch.beside_arrays),
        ("disk: growth", watch.disk),
    ):
        limits.add_row(name, f"{trend(samples):.2f} MiB/min", "none stated", "")
    out.print(limits)


def _report(tallies: dict[str, Tally], found: list[Finding], watch: Watch) -> dict[str, Any]:
    """All there is, times in seconds from the beginning."""
    return {
        "visits": {name: vars(tally) for name, tally in tallies.items()},
        "findings": [vars(finding) | {"holds": finding.holds} for finding in found],
        "processes": {
            name: vars(process) | {"at": [round(at - watch.begun, 1) for at in process.at]}
            for name, process in watch.processes.items()
        },
        "beside_arrays": [(round(at - watch.begun, 1), size) for at, size in watch.beside_arrays],
        "disk": [(round(at - watch.begun, 1), size) for at, size in watch.disk],
    }
