"""`mlx-hub bench`: one benchmark in the foreground, with its figures as a table."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from apps.inference.benchmarks import services
from apps.inference.benchmarks.charts import TURN_LABELS, Measured, measured, rate, seconds
from apps.inference.benchmarks.conduct import AnotherRuns, conduct
from apps.inference.benchmarks.measuring.errors import MeasuringError
from apps.inference.benchmarks.measuring.measure import Progress
from apps.inference.benchmarks.measuring.plan import FULL, QUICK, Plan
from apps.inference.benchmarks.schemas import BenchmarkOut
from apps.inference.models import BenchmarkRun
from apps.inference.services import ModelNotFound
from apps.jobs.models import JobState
from mlxhub_site.commands.interrupts import interrupts
from mlxhub_site.commands.outcome import BadUsage, CommandFailed, NotFound, Refused, Unreachable
from mlxhub_site.commands.output import DASH, console, write_json
from mlxhub_site.supervisor.instance import running_hub_url


def plan_of(*, quick: bool, rounds: int | None, clients: str) -> Plan:
    """The plan that the options ask for. Raises BadUsage."""
    try:
        numbers = [int(each) for each in clients.replace(",", " ").split()] or None
        return (QUICK if quick else FULL).but(rounds=rounds, clients=numbers)
    except ValidationError as error:
        raise BadUsage(f"--clients {clients}: {error.errors()[0]['msg']}.") from error
    except ValueError as error:
        raise BadUsage(f"--clients takes whole numbers, for example 1,2,4: {error}.") from error


def bench(
    model: str | None,
    *,
    base_url: str,
    api_key_env: str,
    plan: Plan,
    json_file: Path | None,
    save: bool,
) -> None:
    """Measure, print, and keep the run unless ``save`` is off. Raises CommandFailed."""
    if model is None:
        raise BadUsage("Name the model as that server calls it: `mlx-hub bench MODEL …`.")
    api_key = _api_key(api_key_env)
    hub_url = None if base_url else _hub_url()
    try:
        run = services.create(model_name=model, url=base_url, plan=plan)
    except ModelNotFound as error:
        raise NotFound(str(error)) from error
    except MeasuringError as error:
        raise BadUsage(str(error)) from error
    out = console(stderr=json_file == DASH)
    out.print(f"Measuring {run.model_name} on {run.target}. Ctrl-C cancels.")
    try:
        _follow(run, hub_url=hub_url, api_key=api_key)
        _report(run, out, json_file)
    finally:
        if not save:
            BenchmarkRun.objects.filter(pk=run.pk).delete()
    if save:
        out.print(f"Kept as benchmark {run.pk} on the hub's Benchmarks page.")


def _api_key(variable: str) -> str | None:
    if not variable:
        return None
    if not (key := os.environ.get(variable)):
        raise BadUsage(f"The environment variable {variable} is empty or not set.")
    return key


def _hub_url() -> str:
    address = running_hub_url(settings.HUB.engine_socket.parent)
    if address is None:
        raise Unreachable(
            "The hub is not running. Start it with `mlx-hub up`, or measure another server "
            "with --base-url."
        )
    return f"{address}/v1"


def _follow(run: BenchmarkRun, *, hub_url: str | None, api_key: str | None) -> None:
    """Run it, with a bar that tells how far it is."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    watched = console(stderr=True)
    bar = Bar(*columns, console=watched, transient=True, disable=not watched.is_terminal)
    with bar, interrupts() as interrupted:
        task = bar.add_task("Starting", total=run.steps_total)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, description=progress.doing)

        try:
            conduct(
                run=run,
                hub_url=hub_url,
                api_key=api_key,
                on_progress=show,
                worker_stops=interrupted,
                stopped_as=JobState.CANCELLED,
            )
        except AnotherRuns as error:
            services.cancel(run=run)
            raise Refused(str(error)) from error


def _report(run: BenchmarkRun, out: Console, json_file: Path | None) -> None:
    if not run.is_done:
        raise CommandFailed(run.error or f"The benchmark was {run.get_state_display()}.")
    out.print(_table(measured([run])[0]))
    if json_file is not None:
        write_json(BenchmarkOut.of(run).model_dump_json(indent=2), json_file)


def _table(one: Measured) -> Table:
    """The figures; a target stands beside the one it is for."""
    table = Table(title=f"{one.run.model_name} on {one.run.target}", title_justify="left")
    table.add_column("Figure")
    table.add_column("Median", justify="right")
    table.add_column("Detail")
    for figure in one.figures.first_token:
        median = figure.seconds.median
        detail = "" if figure.cached_tokens is None else f"{figure.cached_tokens:,} tokens cached"
        if figure.turn == "warm" and one.target is not None:
            verdict = "met" if median < one.target else "missed"
            detail = f"{detail}  target < {seconds(one.target)}: {verdict}".strip()
        table.add_row(f"TTFT, {TURN_LABELS[figure.turn].lower()}", seconds(median), detail)
    for level in one.figures.throughput:
        table.add_row(
            f"Tokens/s, {level.clients} client{'' if level.clients == 1 else 's'}",
            rate(level.tokens_per_second.median),
            f"between tokens p50 {seconds(level.gap_p50.median)}, "
            f"p95 {seconds(level.gap_p95.median)}",
        )
    if one.run.peak_memory_bytes is not None:
        table.add_row("Peak memory", filesizeformat(one.run.peak_memory_bytes), "of the engine")
    return table
