"""Which split a file's name says that its rows belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_KEYWORDS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
"""As https://huggingface.co/docs/hub/datasets-file-names-and-splits has them."""

_BETWEEN = re.compile(r"[^A-Za-z]+")


def split_said_by(path: str) -> str:
    """train, valid or test, by the words of a path, the file's own first; empty for none."""
    for part in reversed(path.split("/")):
        for word in _BETWEEN.split(part.lower()):
            if word in _KEYWORDS:
                return _KEYWORDS[word]
    return ""


def splits_of_files(names: Iterable[str]) -> dict[str, str]:
    """The split of each file of a folder in mlx-lm's shape; empty for any other folder.

    In that shape each file is called after its split, and one of them is to train on. The
    words for it are taken strictly: in a folder of documents "test.md" may be about tests.
    """
    splits = {name: _KEYWORDS.get(_bare(name), "") for name in names}
    if "train" not in splits.values() or "" in splits.values():
        return {}
    return splits


def _bare(name: str) -> str:
    """A file's name without folders and suffixes."""
    return PurePosixPath(name).name.partition(".")[0].lower()
