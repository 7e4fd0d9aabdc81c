"""Ordering downloads of datasets: some splits of one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from apps.datasets.formats.first_rows import FirstRows
from apps.datasets.services import OWNER
from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.data.parts import DEFAULT, TRAIN, DataPart
from apps.discovery.downloads.enough import certain
from apps.discovery.downloads.errors import AlreadyOrdered
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.place import basename, folder_of, promised, require_room
from apps.discovery.downloads.services import Ordered, joined, queued
from apps.discovery.errors import NoUsableRows, UnknownPart
from apps.discovery.snapshot import Snapshot
from apps.models.naming import slug_from

MAX_ROWS = 10**9
"""Of a split, where only the first are wanted."""

_SHOWN = 20
"""Names of configurations or splits in a message."""


@dataclass(frozen=True)
class Choice:
    """What is wanted of a dataset. Empty: the default, or all there is."""

    config: str = ""
    splits: tuple[str, ...] = ()
    rows: int | None = None
    """Only the first so many of each split."""


def start_data(
    *, repo_id: str, choice: Choice, revision: str | None = None, name: str = "", by: str = OWNER
) -> Ordered:
    """Have the worker download rows and import them as a new dataset.

    ``name``: of the dataset here, by default the repository's. ``by``: who orders it. Asks the hub for the
    commit, the files and their sizes. Raises DiscoveryError or AlreadyOrdered.
    """
    found = hub.data_repository(repo_id, revision, configured_access())
    parts = chosen_parts(found, choice)
    wanted = Download(
        repo_type=Download.RepoType.DATASET,
        repo_id=repo_id,
        slug=_slug(repo_id, parts, choice.rows, name),
        selection=_selection(found, parts, choice.rows, name) | {"by": by},
    )
    files = {file.name: file for part in parts for file in part.files}
    snapshot = Snapshot(repo_id, found.data_commit, tuple(files.values()), "dataset")
    sure = certain(snapshot, _first_rows(parts, choice.rows))
    named = Download.objects.unfinished().of_name(wanted.repo_type, wanted.slug)
    if (underway := named.first()) is not None:
        return joined(_same(underway, wanted, snapshot))
    require_room(sure, folder_of(wanted), others=promised())
    try:
        with transaction.atomic():
            return Ordered(download=queued(wanted, snapshot, revision or "", certain=sure))
    except IntegrityError:
        # Somebody else ordered something under this name a moment ago.
        return joined(_same(named.all().get(), wanted, snapshot))


def chosen_parts(found: hub.DataRepository, choice: Choice) -> list[DataPart]:
    """The parts that a choice names. Raises NoUsableRows, UnknownPart."""
    repo_id = found.dataset.repo_id
    configs = list(dict.fromkeys(part.config for part in found.parts))
    if not configs:
        raise NoUsableRows(
            f"{repo_id} has no rows that are read here: no Parquet, JSON, CSV or text file, and no "
            "conversion by the hub. Choose another dataset, or import its files yourself."
        )
    config = choice.config or (DEFAULT if DEFAULT in configs else configs[0])
    if not choice.config and len(configs) > 1 and config != DEFAULT:
        raise UnknownPart(f"Choose a configuration of {repo_id}. {_there_are(configs)}")
    if config not in configs:
        raise UnknownPart(f"{repo_id} has no configuration {config!r}. {_there_are(configs)}")
    mine = {part.split: part for part in found.parts if part.config == config}
    if missing := [split for split in choice.splits if split not in mine]:
        raise UnknownPart(f"{config} of {repo_id} has no split {missing[0]!r}. {_there_are(mine)}")
    return [mine[split] for split in choice.splits or mine]


def _there_are(names: Sequence[str] | dict[str, DataPart]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"There are: {', '.join(list(names)[:_SHOWN])}{more}."


def _first_rows(parts: list[DataPart], rows: int | None) -> FirstRows | None:
    """How many rows of which files; None: all."""
    if rows is None:
        return None
    return FirstRows(rows, {file.name: part.split for part in parts for file in part.files})


def _selection(
    found: hub.DataRepository, parts: list[DataPart], rows: int | None, name: str
) -> dict[str, Any]:
    """What the import is told once the files are here."""
    repo_id, config = found.dataset.repo_id, parts[0].config
    # Where nothing else is chosen, a validation or test split is what is trained on.
    trains = any(part.split_here == TRAIN for part in parts)
    splits = {
        file.name: part.split_here if trains else TRAIN for part in parts for file in part.files
    }
    chosen = ", ".join(part.split for part in parts)
    first = _first_rows(parts, rows)
    cut = f", first {rows:,} rows," if rows else ""
    return {
        "name": name or basename(repo_id),
        "splits": splits,
        "first": first.as_json() if first else None,
        "origin": {
            "label": f"hf:{repo_id}:{config}/{chosen}{cut} at {found.commit[:12]}",
            "repo_id": repo_id,
            "commit": found.commit,
            "config": config,
            "splits": [part.split for part in parts],
            "first_rows": rows,
            "license": found.dataset.license,
            "converted": found.is_converted,
        },
    }


def _slug(repo_id: str, parts: list[DataPart], rows: int | None, name: str) -> str:
    """What tells it from other downloads; the dataset's own address is settled at its import."""
    config, splits = parts[0].config, "-".join(part.split for part in parts)
    cut = f"-first-{rows}" if rows else ""
    return slug_from(name or f"{basename(repo_id)}-{config}-{splits}{cut}") or "dataset"


def _same(underway: Download, wanted: Download, snapshot: Snapshot) -> Download:
    """``underway``, if it brings these very rows. Raises AlreadyOrdered."""
    first = wanted.selection["first"]
    if underway.snapshot == snapshot and underway.selection.get("first") == first:
        return underway
    raise AlreadyOrdered(
        f"{underway.repo_id} at {underway.commit[:7]} is being downloaded as {underway.slug!r}. "
        "Choose another name for this one, or cancel that download."
    )
