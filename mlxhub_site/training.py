"""`mlx-hub train | jobs | logs | stop | resume`: fine-tuning from the terminal.

`train` and `resume` run the job in this process and show how it goes; Ctrl-C stops and
saves it. With --detach the worker has it. Django is set up by the time a command runs.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from django.core.management import CommandError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlxhub_site.registry import Name, named

if TYPE_CHECKING:
    from apps.training.models import TrainingJob
    from apps.training.trainer.config import TrainingConfig

LOOK_SECONDS = 0.5
"""How often a log that is followed is looked at."""

Number = Annotated[int, typer.Argument(metavar="JOB", min=1, help="As `mlx-hub jobs` has it.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave it to the worker.")]
Force = Annotated[bool, typer.Option("--force", help="Even where preflight refuses it.")]


def train(
    name: Name,
    data: Annotated[
        str, typer.Option(help="A dataset, as NAME or NAME@3, or a folder with train.jsonl.")
    ],
    new_name: Annotated[str, typer.Option("--name", help="What the result is to be called.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings as mlx-lm's YAML.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="lora, dora or full.")] = None,
    iters: Annotated[int | None, typer.Option(help="Batches to compute.")] = None,
    batch_size: Annotated[int | None, typer.Option()] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    num_layers: Annotated[int | None, typer.Option(help="From the last; -1: all.")] = None,
    max_seq_length: Annotated[int | None, typer.Option(help="Tokens of a row.")] = None,
    rank: Annotated[int | None, typer.Option(help="Of LoRA's matrices.")] = None,
    grad_checkpoint: Annotated[bool | None, typer.Option(help="Less memory, slower.")] = None,
    mask_prompt: Annotated[bool | None, typer.Option(help="Learn the answers alone.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", help="Any other setting, as NAME=VALUE.")
    ] = None,
    detach: Detach = False,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Examine it and print the settings, no more.")
    ] = False,
) -> None:
    """Fine-tune a model. What is not set is chosen to suit model, data and machine."""
    chosen = {
        "method": method, "iters": iters, "batch_size": batch_size, "seed": seed,
        "learning_rate": learning_rate, "num_layers": num_layers, "mask_prompt": mask_prompt,
        "max_seq_length": max_seq_length, "gradient_checkpointing": grad_checkpoint,
        "lora": None if rank is None else {"rank": rank},
    }  # fmt: skip
    from apps.training import services
    from apps.training.orders import completed
    from apps.training.sources import source_named

    base = named(name).model
    with _refusals():
        settings = _settings(config, option or [], chosen)
        source = source_named(_absolute(data))
        whole = completed(base=base, data=source.folder, settings=settings)
        if dry_run:
            _examine(base, whole)
            return
        job = services.order(
            base=base,
            data=Path(whole.data),
            name=new_name,
            settings=whole.model_dump(mode="json", exclude={"model", "data"}),
            dataset=source.version,
            despite_refusals=force,
        )
    _begin(job, detach=detach)


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As /api answers it.")] = False,
) -> None:
    """List the training jobs, the newest first."""
    from apps.training.models import TrainingJob
    from apps.training.schemas import JobList, JobOut

    found = TrainingJob.objects.newest_first()
    page = list(found[:limit])
    if as_json:
        listed = JobList(jobs=[JobOut.of(job) for job in page], total=found.count())
        typer.echo(listed.model_dump_json(indent=2))
        return
    if not page:
        typer.echo(
            "No training job yet. `mlx-hub train MODEL --data FOLDER --name NAME` makes one."
        )
        return
    table = Table("Job", "Name", "Base", "State", "Steps", "Made", box=None)
    for job in page:
        steps = f"{job.step:,} of {job.steps:,}"
        table.add_row(
            str(job.pk), escape(job.name), escape(job.base_name), job.state, steps, job.api_name
        )
    Console().print(table)


def logs(
    key: Number,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until the job stands still.")
    ] = False,
    events: Annotated[bool, typer.Option("--events", help="Figures as JSON lines.")] = False,
) -> None:
    """Print the end of a job's log."""
    from apps.training.tails import Followed, tail

    job = _numbered(key)
    what: Followed = "events" if events else "log"
    read: int | None = None
    while True:
        job.refresh_from_db()
        active = job.is_active
        found = tail(job, what, after=read)
        typer.echo(found.text, nl=False)
        if found.text and read is not None:
            read = found.next
            continue
        read = found.next
        if not (follow and active):
            return
        time.sleep(LOOK_SECONDS)


def stop(
    key: Number,
    cancel: Annotated[bool, typer.Option("--cancel", help="Save nothing more.")] = False,
) -> None:
    """Stop a job with a checkpoint and its result as it is. It may be resumed."""
    from apps.training import services

    job = _numbered(key)
    if cancel:
        services.cancel(job=job)
    else:
        services.stop(job=job)
    typer.echo(f"{job.name}: {'stopping' if job.is_active else job.state}.")


def resume(key: Number, detach: Detach = False) -> None:
    """Go on with a job from its newest checkpoint."""
    from apps.jobs import control

    job = _numbered(key)
    if not control.requeue(job):
        raise CommandError(f"{job.name} is {job.state}: only a job that stands still goes on.")
    _begin(job, detach=detach)


def _settings(config: Path | None, options: list[str], chosen: dict[str, Any]) -> dict[str, Any]:
    """The file's, then --set's, then the options'. Raises TrainingError."""
    from apps.training.orders import settings_of

    try:
        settings = settings_of(config.read_text(encoding="utf-8")) if config else {}
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{config} can't be read: {error}") from error
    for each in options:
        key, equals, value = each.partition("=")
        if not equals:
            raise CommandError(f"--set {each}: write it as NAME=VALUE.")
        settings |= settings_of(f"{key}: {value}")
    given = {name: value for name, value in chosen.items() if value is not None}
    if "lora" in given and isinstance(settings.get("lora"), dict):
        given["lora"] = settings["lora"] | given["lora"]
    return settings | given


def _absolute(data: str) -> str:
    """A folder here by its whole path: only a terminal is anywhere. A dataset as it is."""
    return str(Path(data).absolute()) if Path(data).is_dir() else data


def _examine(base: Any, config: TrainingConfig) -> None:
    from apps.training.preflight import examine
    from apps.training.trainer.mlx_lm_yaml import write_yaml

    found = examine(base, config)
    typer.echo(write_yaml(config))
    typer.echo(f"Memory: {found.fit.word}, {found.fit.in_short}")
    for finding in found.findings:
        typer.echo(f"{finding.level.capitalize()}: {finding.text}")


def _begin(job: TrainingJob, *, detach: bool) -> None:
    from apps.training import services

    if detach:
        services.start(job=job)
        typer.echo(f"Job {job.pk} is queued. `mlx-hub logs -f {job.pk}` follows it.")
        return
    _carry_out(job)


def _carry_out(job: TrainingJob) -> None:
    """Run the job here, with a bar; what it made, or why it did not get to its end."""
    from apps.jobs import control
    from apps.jobs.turns import AnotherWorks, turn_of_its_own
    from apps.training.running import run

    console = Console()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar, _stops(job):
        task = bar.add_task("Starting", total=1.0)

        def tell(doing: str, fraction: float) -> None:
            bar.update(task, completed=fraction, description=doing.capitalize())

        try:
            with turn_of_its_own():
                run(job, stops=threading.Event(), on_progress=tell)
        except AnotherWorks as error:
            control.pause(job)
            raise CommandError(
                f"{error} It waits as job {job.pk}: `mlx-hub resume {job.pk}` starts it."
            ) from error
    _report(job)


def _report(job: TrainingJob) -> None:
    from apps.jobs.models import JobState

    if job.state == JobState.DONE:
        typer.echo(f"{job.api_name} is ready: `mlx-hub chat {job.api_name}`.")
    elif job.state == JobState.PAUSED:
        typer.echo(f"Stopped at step {job.step:,}. `mlx-hub resume {job.pk}` goes on.")
    else:
        raise CommandError(job.error or f"The job is {job.state}.")


@contextmanager
def _stops(job: TrainingJob) -> Iterator[None]:
    """Ctrl-C stops and saves the job rather than end this process in the middle of it."""
    from django.db import connection

    from apps.training import services

    asked = threading.Event()

    def ask() -> None:
        # Not in the signal's handler, which may come in the middle of a database call.
        asked.wait()
        if not over:
            services.stop(job=type(job).objects.get(pk=job.pk))
            connection.close()

    over = False
    thread = threading.Thread(target=ask, name="stop", daemon=True)
    thread.start()
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        over = True
        asked.set()
        thread.join()


@contextmanager
def _refusals() -> Iterator[None]:
    from apps.training.errors import TrainingError

    try:
        yield
    except TrainingError as error:
        raise CommandError(str(error)) from error


def _numbered(key: int) -> TrainingJob:
    from apps.training.models import TrainingJob

    job = TrainingJob.objects.newest_first().filter(pk=key).first()
    if job is None:
        raise CommandError(f"There is no training job {key}. `mlx-hub jobs` lists them.")
    return job
