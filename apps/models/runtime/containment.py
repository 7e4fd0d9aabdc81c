"""A model folder's files lie in the folder.

A link may lead anywhere: one called ``tokenizer.json`` that leads to somebody's keys
would have them read, digested and served. Hugging Face's cache is made of links, and
they lead to the same repository's ``blobs``; those are followed, no others that leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from apps.models.runtime.errors import ModelFormatError

MAX_FILES = 20_000
"""Looked at in one folder. The largest models come in some hundred files."""


def require_contained(folder: Path) -> None:
    """Raises ModelFormatError where a file of ``folder`` is a link that leads out of it."""
    try:
        home = _home(folder.resolve())
        files = list(islice(_entries(folder), MAX_FILES + 1))
        leaving = next((f for f in files if f.is_symlink() and not _inside(f, home)), None)
    except OSError as error:
        raise ModelFormatError(
            f"{folder} can't be read ({error.strerror or error}). Check its permissions."
        ) from error
    if len(files) > MAX_FILES:
        raise ModelFormatError(f"{folder} holds too many files to be a model. Choose another.")
    if leaving is not None:
        raise ModelFormatError(
            f"{leaving.name!r} in {folder.name} is a link to a place outside the folder, and such "
            "links are not followed. Put the file itself there, or choose another folder."
        )


def _home(folder: Path) -> Path:
    """What the folder's links may lead to: itself, or its repository in Hugging Face's cache."""
    repository = folder.parent.parent
    in_cache = folder.parent.name == "snapshots" and repository.name.startswith("models--")
    return repository if in_cache else folder


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in it down to the depth that models have files at, links unfollowed."""
    for entry in folder.iterdir():
        yield entry
        if entry.is_dir() and not entry.is_symlink():
            yield from entry.iterdir()


def _inside(link: Path, home: Path) -> bool:
    try:
        return link.resolve().is_relative_to(home)
    except RuntimeError:  # a link that leads to itself
        return False
