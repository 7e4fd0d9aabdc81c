"""The work of an import: a source to a version of its columns, and one of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.first_rows import FirstRows
from apps.datasets.formats.kinds import SAMPLED, UNKNOWN, Kind, recognise
from apps.datasets.formats.limits import MAX_COLUMNS
from apps.datasets.formats.mapping import Mapping
from apps.datasets.formats.named_splits import splits_of_files
from apps.datasets.formats.reading.records import FAULTS, Fault, Read, Record, Unreadable
from apps.datasets.formats.reading.source import names_in, read_source
from apps.datasets.formats.store.index import SPLITS
from apps.datasets.formats.store.writing import RowWriter, Written
from apps.datasets.landing import land, staged
from apps.datasets.mapping_work import write_mapped
from apps.datasets.models import DatasetJob, DatasetVersion
from apps.jobs.conduct import JobEnds, Report
from apps.jobs.models import JobState
from apps.uploads.pieces import drop

_TELL_EVERY = 1_000
_GIVEN = "given"
"""Name of a kind that was not recognised but told."""

_SAMPLES = 20
"""Unreadable places that are kept of each fault."""


def import_source(job: DatasetJob, report: Report) -> DatasetVersion:
    """Read the source. Raises FormatError, BadDataOrder; then nothing of it is left."""
    path = Path(job.plan["path"])
    try:
        version = _imported(job, path, report)
    except JobEnds as end:
        if end.state == JobState.CANCELLED:
            _drop(job)  # one that is to go on later still needs its file
        raise
    except BaseException:
        _drop(job)
        raise
    _drop(job)
    return version


def _imported(job: DatasetJob, path: Path, report: Report) -> DatasetVersion:
    # One whose process was killed goes on from what it had landed.
    columns = job.result or _columns(job, path, report)
    if columns.is_mapped or columns.facts["recognised"] == UNKNOWN.label:
        return columns
    return write_mapped(
        columns,
        Mapping.of_json(columns.facts["mapping"]),
        change=_said(job, columns),
        report=lambda doing, fraction: report(doing, 0.5 + fraction / 2),
        job=job,
    )


def _columns(job: DatasetJob, path: Path, report: Report) -> DatasetVersion:
    with staged(_size_of(path)) as folder:
        tally = _Tally()
        written, kind = _write_records(job, path, folder, tally, report)
        return land(
            folder,
            written,
            dataset=job.dataset,
            job=job,
            kind=DatasetVersion.Kind.UNMAPPED,
            change=f"Imported from {job.plan['label']}"[:300],
            facts=tally.as_json()
            | {
                "recognised": kind.label,
                "mapping": kind.mapping.as_json(),
                "origin": job.plan.get("origin", {}),
            },
        )


def _said(job: DatasetJob, columns: DatasetVersion) -> str:
    recognised: str = columns.facts["recognised"]
    return recognised if job.plan.get("mapping") else f"Recognised as {recognised}"


def _write_records(
    job: DatasetJob, path: Path, folder: Path, tally: _Tally, report: Report
) -> tuple[Written, Kind]:
    reads = tally.counted(_wanted(job, read_source(path)))
    first = list(islice((read for read in reads if isinstance(read, Record)), SAMPLED))
    kind = _kind_of(job, first)
    splits = job.plan.get("splits") or splits_of_files(names_in(path))
    with RowWriter(folder, mapped=False) as writer:
        for count, read in enumerate(chain(first, reads)):
            if isinstance(read, Record):
                writer.add(read.value, SPLITS.index(splits.get(read.file, "train")))
            if count % _TELL_EVERY == 0:
                report(f"reading, {tally.records:,} rows so far", _asymptote(tally.records))
        if not tally.records:
            raise BadDataOrder(f"No row could be read. {tally.in_words()} Choose another file.")
        return writer.close(), kind


def _wanted(job: DatasetJob, reads: Iterator[Read]) -> Iterator[Read]:
    """All of it, or as many rows as were ordered."""
    first = job.plan.get("first")
    return FirstRows.of_json(first).of(reads) if first else reads


def _kind_of(job: DatasetJob, first: list[Record]) -> Kind:
    """The kind that the order's mapping makes, else what the first records are recognised as."""
    if given := job.plan.get("mapping"):
        mapping = Mapping.of_json(given)
        return Kind(_GIVEN, f"Mapped to {mapping.target}", mapping)
    return recognise([record.value for record in first])


class _Tally:
    """What a source holds, counted while it passes."""

    def __init__(self) -> None:
        self.records = 0
        self._columns: dict[str, None] = {}
        self._faults: Counter[str] = Counter()
        self._samples: dict[str, list[dict[str, Any]]] = {}

    def counted(self, reads: Iterator[Read]) -> Iterator[Read]:
        for read in reads:
            if isinstance(read, Record):
                self.records += 1
                if self.records <= SAMPLED and len(self._columns) < MAX_COLUMNS:
                    self._columns.update(dict.fromkeys(read.value))
            else:
                self._note(read)
            yield read

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": list(self._columns),
            "unreadable": dict(self._faults),
            "unreadable_samples": self._samples,
        }

    def in_words(self) -> str:
        """Why so many places gave nothing."""
        counts = (f"{count:,} {FAULTS[Fault(fault)]}" for fault, count in self._faults.items())
        return f"Unreadable: {', '.join(counts)}." if self._faults else "It is empty."

    def _note(self, read: Unreadable) -> None:
        self._faults[read.fault] += 1
        samples = self._samples.setdefault(read.fault, [])
        if len(samples) < _SAMPLES:
            samples.append({"file": read.file, "line": read.line, "detail": read.detail[:400]})


def _size_of(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


def _asymptote(records: int) -> float:
    """How far a reading may be whose end nobody knows: half of it after 200,000 rows."""
    return 0.5 * records / (records + 200_000)


def _drop(job: DatasetJob) -> None:
    """Remove the hub's own copy of what was uploaded or pasted."""
    if job.plan["uploaded"]:
        drop(Path(job.plan["path"]))
