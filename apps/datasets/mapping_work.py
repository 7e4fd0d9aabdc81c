"""Columns to rows, for all of a version."""

from __future__ import annotations

from collections.abc import Callable

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.mapping import Mapping
from apps.datasets.formats.store.writing import RowWriter
from apps.datasets.landing import land, staged
from apps.datasets.models import DatasetJob, DatasetVersion

_TELL_EVERY = 1_000


def write_mapped(
    columns: DatasetVersion,
    mapping: Mapping,
    *,
    change: str,
    report: Callable[[str, float], None],
    job: DatasetJob,
) -> DatasetVersion:
    """A version of the rows that the mapping makes. Raises BadMapping, BadDataOrder."""
    if columns.is_mapped:
        raise BadDataOrder(f"{columns} is mapped already. Map the version that was imported.")
    mapping.check(columns.facts["columns"])
    if mapping.where:
        change = f"{change}, where {' and '.join(map(str, mapping.where))}"
    splits = columns.files.index().get_column("split").to_numpy()
    with staged(columns.nbytes) as folder:
        with RowWriter(folder) as writer:
            for count, record in enumerate(columns.files.values()):
                if mapping.takes(record):
                    writer.add(mapping.apply(record), int(splits[count]))
                if count % _TELL_EVERY == 0:
                    report(f"mapping, {count:,} of {columns.rows:,} rows", count / columns.rows)
            written = writer.close()
        return land(
            folder,
            written,
            dataset=columns.dataset,
            kind=str(mapping.target),
            change=change,
            parent=columns,
            facts={"mapping": mapping.as_json()},
            job=job,
        )
