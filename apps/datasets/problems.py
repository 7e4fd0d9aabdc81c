"""Refusals of the Data Prep Studio as HTTP says them: status and code."""

from __future__ import annotations

from apps.datasets.errors import Busy, DatasetError, DatasetNotFound, InUse, SourceNotFound
from apps.datasets.formats.errors import FormatError


def dataset_fault(error: DatasetError | FormatError) -> tuple[int, str]:
    """The status, and the name for programs to tell it by."""
    match error:
        case DatasetNotFound():
            return 404, "dataset_not_found"
        case SourceNotFound():
            return 404, "source_not_found"
        case Busy():
            return 409, "dataset_busy"
        case InUse():
            return 409, "dataset_in_use"
        case _:
            return 400, "invalid_dataset_order"
