"""The work of jobs that make a version of another: which rows stay, where, and how they read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.fields import as_text, field_of
from apps.datasets.formats.mapping import Mapping
from apps.datasets.formats.personal import Personal, masked
from apps.datasets.formats.selection import Selection
from apps.datasets.formats.splits import Shares, assign
from apps.datasets.formats.store.beside import write_column
from apps.datasets.formats.store.writing import RowWriter, write_selection
from apps.datasets.landing import land, staged
from apps.datasets.mapping_work import write_mapped
from apps.datasets.models import DatasetJob, DatasetVersion
from apps.jobs.conduct import Report

_TELL_EVERY = 1_000


def apply_mapping(job: DatasetJob, report: Report) -> DatasetVersion:
    """Raises BadMapping, BadDataOrder."""
    mapping = Mapping.of_json(job.plan["mapping"])
    return write_mapped(
        base_of(job), mapping, change=f"Mapped to {mapping.target}", report=_plain(report), job=job
    )


def drop_rows(job: DatasetJob, report: Report) -> DatasetVersion:
    """Leave out the rows that the order's selection takes. Raises BadDataOrder, BadMapping."""
    base = base_of(job)
    selection = Selection.of_json(job.plan)
    chosen = selection.numbers(base.files)
    index = base.files.index()
    kept = index.filter(~pl.col("number").is_in(chosen))
    count = index.height - kept.height
    if not count:
        raise BadDataOrder("No row is like that, so the version stays as it is.")
    change = f"Removed {count:,} row{'s' if count != 1 else ''}{selection.in_words()}"
    return _selected(job, kept, change, report)


def split_rows(job: DatasetJob, report: Report) -> DatasetVersion:
    """Divide into training, validation and test rows; equal rows stay together."""
    base, plan = base_of(job), job.plan
    index = base.files.index()
    groups = index.get_column("digest").to_numpy()
    strata = None
    if field := plan.get("group_by"):
        groups = _keys(base, field, report)
    if field := plan.get("stratify_by"):
        strata = _keys(base, field, report)
    splits = assign(groups, Shares(plan["valid"], plan["test"]), plan["seed"], strata)
    chosen = index.with_columns(pl.Series("split", splits))
    return _selected(job, chosen, _split_in_words(plan), report)


def _split_in_words(plan: dict[str, Any]) -> str:
    """As in "Split at random: 90% for training, 10% for validation (seed 0)"."""
    shares = {
        "training": 1 - plan["valid"] - plan["test"],
        "validation": plan["valid"],
        "test": plan["test"],
    }
    parts = [f"{share:.0%} for {name}" for name, share in shares.items() if share]
    if field := plan.get("group_by"):
        parts.append(f"rows of one {field} together")
    if field := plan.get("stratify_by"):
        parts.append(f"each {field} divided alike")
    return f"Split at random: {', '.join(parts)} (seed {plan['seed']})"


def sample_rows(job: DatasetJob, report: Report) -> DatasetVersion:
    """Shuffle, and keep so many rows of the training split; the others stay."""
    base, plan = base_of(job), job.plan
    index = base.files.index()
    train, others = (index.filter(condition) for condition in (_TRAINED, ~_TRAINED))
    count = min(plan["rows"] or train.height, train.height)
    order = np.random.default_rng(plan["seed"]).permutation(train.height)[:count]
    change = f"Shuffled (seed {plan['seed']})"
    if count < train.height:
        change = f"Sample of {count:,} training rows (seed {plan['seed']})"
    return _selected(job, pl.concat([train[order], others]), change, report)


def mask_rows(job: DatasetJob, report: Report) -> DatasetVersion:
    """Put a word for its kind in place of personal data; in the rows that are named, or in all."""
    kinds = Personal(job.plan["personal"])
    only = set(job.plan.get("rows", ()))

    def mask(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            yield masked(row, kinds) if not only or number in only else row

    change = f"Masked{Selection(personal=kinds).in_words()}"
    if only:
        change += f" in {len(only):,} row{'s' if len(only) != 1 else ''}"
    return _rewritten(job, mask, change, report)


def edit_rows(job: DatasetJob, report: Report) -> DatasetVersion:
    """Put other rows in place of some, by number, and add some to the training split."""
    changed = {int(number): row for number, row in job.plan.get("changed", {}).items()}
    added = job.plan.get("added", [])
    base = base_of(job)
    if bad := [number for number in changed if not 0 <= number < base.rows]:
        raise BadDataOrder(f"There is no row {bad[0] + 1} in {base}.")

    def edit(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows):
            yield changed.get(number, row)

    parts = [f"Edited {len(changed):,} rows"] if len(changed) > 1 else []
    parts += [f"Edited row {next(iter(changed)) + 1:,}"] if len(changed) == 1 else []
    parts += [f"Added {len(added):,} row{'s' if len(added) != 1 else ''}"] if added else []
    return _rewritten(job, edit, ", ".join(parts), report, added=added)


def merge_rows(job: DatasetJob, report: Report) -> DatasetVersion:
    """Add the rows of another version of the same kind, each to its split."""
    base = base_of(job)
    other = DatasetVersion.objects.filter(pk=job.plan["other"]).first()
    if other is None or other.kind != base.kind:
        raise BadDataOrder("The other dataset is gone, or of another kind. Choose another.")
    with staged(base.nbytes + other.nbytes) as folder:
        with RowWriter(folder, mapped=base.is_mapped) as writer:
            total = base.rows + other.rows
            for source in (base, other):
                _copy(source, writer, report, total)
            written = writer.close()
        change = f"Merged with {other}"
        return land(
            folder,
            written,
            dataset=base.dataset,
            kind=base.kind,
            change=change,
            parent=base,
            job=job,
        )


_TRAINED = pl.col("split") == 0


def _selected(job: DatasetJob, chosen: pl.DataFrame, change: str, report: Report) -> DatasetVersion:
    base = base_of(job)
    with staged(base.nbytes) as folder:
        written = write_selection(
            base.files,
            chosen.get_column("number").to_numpy(),
            chosen.get_column("split").to_numpy(),
            folder,
            mapped=base.is_mapped,
            tell=lambda fraction: report("writing rows", fraction),
        )
        if "language" in chosen.columns:
            codes = chosen.sort("split", maintain_order=True).get_column("language")
            write_column("language", codes.to_list(), folder, folder)
        return land(
            folder,
            written,
            dataset=base.dataset,
            kind=base.kind,
            change=change,
            parent=base,
            facts=_carried(base),
            job=job,
        )


def _rewritten(
    job: DatasetJob,
    edit: Callable[[Iterator[dict[str, Any]]], Iterator[dict[str, Any]]],
    change: str,
    report: Report,
    *,
    added: list[dict[str, Any]] | None = None,
) -> DatasetVersion:
    base = base_of(job)
    splits = base.files.index().get_column("split").to_numpy()
    with staged(base.nbytes) as folder:
        with RowWriter(folder, mapped=base.is_mapped) as writer:
            for number, row in enumerate(edit(base.files.values())):
                writer.add(row, int(splits[number]))
                if number % _TELL_EVERY == 0:
                    report("writing rows", number / base.rows)
            for row in added or ():
                writer.add(row)
            written = writer.close()
        return land(
            folder,
            written,
            dataset=base.dataset,
            kind=base.kind,
            change=change,
            parent=base,
            facts=_carried(base),
            job=job,
        )


def _copy(source: DatasetVersion, writer: RowWriter, report: Report, total: int) -> None:
    splits = source.files.index().get_column("split").to_numpy()
    for number, row in enumerate(source.files.values()):
        writer.add(row, int(splits[number]))
        if number % _TELL_EVERY == 0:
            report(f"adding rows of {source}"[:200], number / total)


def _keys(base: DatasetVersion, field: str, report: Report) -> np.ndarray:
    """A number for each row, equal where the field is. Raises BadDataOrder."""
    keys = np.zeros(base.rows, np.uint64)
    found = False
    for number, row in enumerate(base.files.values()):
        value = field_of(row, field)
        found = found or value is not None
        digest = hashlib.blake2b(as_text(value).encode(), digest_size=8).digest()
        keys[number] = int.from_bytes(digest, "little")
        if number % _TELL_EVERY == 0:
            report(f"reading {field}"[:200], 0.5 * number / base.rows)
    if not found:
        raise BadDataOrder(
            f"No row has a field {field!r}. Map it as a column to keep, or choose another."
        )
    return keys


def _carried(base: DatasetVersion) -> dict[str, Any]:
    """What was found at the import and is still true of a version of columns."""
    names = () if base.is_mapped else ("columns", "recognised", "mapping")
    return {name: base.facts[name] for name in names}


def base_of(job: DatasetJob) -> DatasetVersion:
    """The version that a job works on. Raises BadDataOrder."""
    if job.base is None:
        raise BadDataOrder("The version that it was to work on is deleted.")
    return job.base


def _plain(report: Report) -> Callable[[str, float], None]:
    return lambda doing, fraction: report(doing, fraction)
