"""What to train on, as people name it: a dataset of the hub's, or a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from apps.audit.actors import current_actor
from apps.datasets.errors import DatasetError, DatasetNotFound
from apps.datasets.models import Dataset, DatasetVersion
from apps.datasets.services import folder_for_training
from apps.training.errors import BadOrder

_DATASET = re.compile(r"(?P<slug>[a-z0-9][a-z0-9._-]*)(?:@(?P<number>[1-9]\d{0,8}))?")


@dataclass(frozen=True)
class Source:
    folder: Path
    """With train.jsonl and, for validation, valid.jsonl."""
    version: DatasetVersion | None = None
    """None: a folder that the hub does not look after."""


def source_named(text: str) -> Source:
    """``words`` and ``words@3`` are a dataset's present and third version, a path is a folder.

    Raises BadOrder where there is no such dataset, nothing in it to learn from, or where whoever
    asks may not name folders: what lies on the machine is its owner's, and what a training learnt
    can be asked out of it again.
    """
    name = _DATASET.fullmatch(text.strip())
    if name is None:
        if not current_actor().may_name_files:
            raise BadOrder(
                "A folder of the hub's machine is its owner's to name. Choose a dataset; the Data "
                "page takes files in from a browser."
            )
        return Source(Path(text.strip()))
    number = name["number"]
    try:
        version = Dataset.objects.named(name["slug"]).version(int(number) if number else None)
        return Source(folder_for_training(version), version)
    except DatasetNotFound as error:
        raise BadOrder(f"{error} A folder is named by its path.") from error
    except DatasetError as error:
        raise BadOrder(str(error)) from error


def name_of(version: DatasetVersion) -> str:
    """What ``source_named`` finds it by."""
    return f"{version.dataset.slug}@{version.number}"
