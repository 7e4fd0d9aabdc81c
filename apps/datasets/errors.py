"""What the Data Prep Studio refuses.

    DatasetError
    ├── DatasetNotFound   there is no dataset or version of this name
    ├── BadDataOrder      what is asked for can't be done to this version
    │   └── SourceNotFound    there is nothing to import at this path
    ├── Busy              another job is changing the dataset
    └── InUse             something still points at the dataset

What is wrong with the data itself is ``formats.errors.FormatError``.
"""

from __future__ import annotations


class DatasetError(Exception):
    """The message says what happened, why, and what to do."""


class DatasetNotFound(DatasetError):
    """There is no dataset or version of this name or number."""


class BadDataOrder(DatasetError):
    """What is asked for can't be done to this version."""


class SourceNotFound(BadDataOrder):
    """There is nothing to import at this path."""


class Busy(DatasetError):
    """Another job is changing the dataset."""


class InUse(DatasetError):
    """The dataset can't be deleted while something points at it."""
