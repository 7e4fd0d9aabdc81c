"""`mlx-hub data …`: what comes into datasets from Hugging Face, chats and other datasets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from django.core.management import CommandError

from mlxhub_site.commands.data_jobs import carry_out, change, refusals, version_of
from mlxhub_site.commands.downloads import LOOK_SECONDS, shown

if TYPE_CHECKING:
    from apps.datasets.models import DatasetJob

Name = Annotated[str, typer.Argument(metavar="DATASET", help="As `mlx-hub data list` has it.")]

_KINDS = ("chat", "preference")
_WHICH = ("shown", "liked")


def fetched(source: str, *, name: str, revision: str) -> DatasetJob:
    """The import of a dataset on Hugging Face once its files are here. Raises CommandError."""
    from apps.discovery.data.reference import data_reference
    from apps.discovery.downloads.data_orders import Choice, start_data
    from apps.discovery.downloads.following import follow, worker_is_alive
    from apps.jobs.models import JobState

    with refusals():
        named = data_reference(source)
        download = start_data(
            repo_id=named.repo_id,
            choice=Choice(named.config, named.splits),
            revision=revision or None,
            name=name,
        ).download
    assert download is not None
    try:
        with shown(download.bytes_total) as show:
            follow(download, show)
    except KeyboardInterrupt:
        raise CommandError("Stopped. The same command goes on from here.") from None
    if download.state == JobState.PAUSED:
        raise CommandError("It was paused. The same command goes on from here.")
    if download.state != JobState.DONE or download.dataset is None:
        raise CommandError(download.error or "It was cancelled, and its files are removed.")
    job: DatasetJob = download.dataset.jobs.earliest("pk")
    while job.is_active and worker_is_alive():  # it does that job, too
        time.sleep(LOOK_SECONDS)
        job.refresh_from_db()
    return job


def from_chats(
    kind: Annotated[str, typer.Option(help="chat, or preference for pairs of answers.")] = "chat",
    which: Annotated[
        str,
        typer.Option(help="shown: whole conversations; liked: only liked or corrected answers."),
    ] = "shown",
    conversation: Annotated[
        list[str] | None, typer.Option(help="A conversation's id; repeat it. Default: all.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the new dataset.")] = "Conversations",
    add_to: Annotated[str, typer.Option(help="A dataset to add to, instead of a new one.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the rows.")] = False,
) -> None:
    """Make a dataset of the playground's conversations, ratings and corrections."""
    from apps.datasets.models import Dataset
    from apps.playground.collecting import services
    from apps.playground.collecting.services import Picked

    picked = Picked(
        kind=_one_of("kind", kind, _KINDS),
        which=_one_of("which", which, _WHICH),
        conversations=tuple(map(_uuid, conversation or ())),
    )
    if dry_run:
        found = services.collect(picked)
        typer.echo(f"{len(found.rows):,} rows of {found.used:,} conversations.")
        return
    with refusals():
        if add_to:
            dataset = Dataset.objects.named(add_to)
            job = services.add_to_dataset(picked=picked, dataset=dataset, run_here=True)
        else:
            job = services.make_dataset(picked=picked, name=name, run_here=True)
    carry_out(job)
    version = job.dataset.version(None)
    typer.echo(f"{job.dataset.slug}, version {version.number}: {version.rows:,} rows.")


def merge(
    name: Name,
    other: Annotated[str, typer.Argument(help="The dataset whose rows are added.")],
    number: Annotated[
        int | None, typer.Option("--version", min=1, help="Of the other; default: the present.")
    ] = None,
) -> None:
    """Add the rows of another dataset of the same kind, each to its split."""
    change(name, "merge", {"other": version_of(other, number).pk})


def sample(
    name: Name,
    rows: Annotated[int, typer.Option(min=0, help="Training rows to keep; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
) -> None:
    """Shuffle the training rows, and keep so many of them."""
    change(name, "sample", {"rows": rows, "seed": seed})


def _one_of(option: str, given: str, known: tuple[str, ...]) -> Any:
    if given not in known:
        raise CommandError(f"--{option}: Choose one of {', '.join(known)}.")
    return given


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandError(
            f"{text!r} is no conversation's id; it stands in the address of its page."
        ) from error
