"""Jobs on datasets as a command does them: ordered, run in its own process, told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from django.core.management import CommandError
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from mlxhub_site.commands.interrupts import interrupts

if TYPE_CHECKING:
    from apps.datasets.models import DatasetJob, DatasetVersion


def change(name: str, kind: str, plan: dict[str, Any]) -> None:
    """Make a version of the present one, and say which."""
    from apps.datasets import services

    with refusals():
        job = services.order(version=version_of(name, None), kind=kind, plan=plan, run_here=True)
    carry_out(job)
    if job.result is not None:
        made = job.result
        typer.echo(f"{name}, version {made.number}: {made.rows:,} rows. {made.change}.")


def version_of(name: str, number: int | None) -> DatasetVersion:
    """A version by its dataset's name. Raises CommandError."""
    from apps.datasets.models import Dataset

    with refusals():
        return Dataset.objects.named(name).version(number)


def carry_out(job: DatasetJob) -> None:
    """Run the job here, with a bar. Raises CommandError where it does not get to its end."""
    from apps.datasets.running import run
    from apps.jobs.models import JobState

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, transient=True) as bar, interrupts() as interrupted:
        task = bar.add_task("Starting", total=1.0)

        def tell(doing: str, fraction: float) -> None:
            bar.update(task, completed=fraction, description=escape(doing.capitalize()))

        run(job, stops=interrupted, stopped_as=JobState.CANCELLED, on_progress=tell)
    if job.is_active:  # one that just started takes up whatever waits
        raise CommandError("The hub's worker took the job up. The Data page shows how it fares.")
    if job.state != JobState.DONE:
        raise CommandError(job.error or "It was cancelled, and nothing of it is left.")
    job.dataset.refresh_from_db()


@contextmanager
def refusals() -> Iterator[None]:
    """What is refused, as a command says it."""
    from apps.datasets.errors import DatasetError
    from apps.datasets.formats.errors import FormatError
    from apps.discovery.downloads.errors import DownloadError
    from apps.discovery.errors import DiscoveryError
    from apps.uploads.pieces import UploadRefused

    try:
        yield
    except (DatasetError, FormatError, DiscoveryError, DownloadError, UploadRefused) as error:
        raise CommandError(str(error)) from error
