"""Any folder: models and GGUF files in it, a few levels deep."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from apps.models.found.finds import Find, look_at_folder, look_at_gguf
from apps.models.runtime.errors import ModelFormatError

DEPTH = 3
"""Levels looked at: publisher, repository, file."""
MAX_FOLDERS = 5_000
"""Looked into at most: somebody may name the root of a disk."""

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_PROJECTOR = re.compile(r"mmproj", re.IGNORECASE)


def find_in_folder(path: Path) -> list[Find]:
    """The models at ``path``: the file or folder itself, else what lies in it.

    Raises ModelFormatError where there is nothing at ``path``.
    """
    if is_file(path):
        look = look_at_gguf(path)
        return [Find("Folder", path.name, path, look.size_bytes, look.detail, look.problem)]
    if not os.path.isdir(path):  # noqa: PTH112 - as in ``is_file``
        raise ModelFormatError(
            f"There is nothing at {path} on the hub's machine that can be read. Give the full path "
            "of a model folder or of a GGUF file."
        )
    found = list(_below(path, DEPTH, [MAX_FOLDERS]))
    if not found and is_file(path / "config.json"):
        look = look_at_folder(path)  # says why it is none
        return [Find("Folder", path.name, path, look.size_bytes, look.detail, look.problem)]
    return found


def is_model_folder(folder: Path) -> bool:
    """Whether it looks like one: a configuration and weights beside it."""
    return is_file(folder / "config.json") and any(folder.glob("*.safetensors"))


def is_file(path: Path) -> bool:
    """Whether it is a file, and lies where one may look; ``Path.is_file`` raises elsewhere."""
    return os.path.isfile(path)  # noqa: PTH113


def gguf_files(folder: Path) -> Iterator[Path]:
    """GGUF files that are models; later parts of split ones and vision projectors are left out."""
    for file in sorted(folder.glob("*.[gG][gG][uU][fF]")):
        if (
            file.is_file()
            and not _LATER_PART.search(file.name)
            and not _PROJECTOR.search(file.name)
        ):
            yield file


def models_in(folder: Path) -> list[Path]:
    """The folders in a folder by name; hidden ones, links and what can't be read are left out."""
    try:
        return sorted(
            entry
            for entry in folder.iterdir()
            if not entry.name.startswith(".")
            and not entry.is_symlink()
            and entry.is_dir()
            and os.access(entry, os.R_OK | os.X_OK)
        )
    except OSError:
        return []


def _below(folder: Path, depth: int, folders_left: list[int]) -> Iterator[Find]:
    if folders_left[0] <= 0:
        return
    folders_left[0] -= 1
    for file in gguf_files(folder):
        look = look_at_gguf(file)
        yield Find("Folder", file.stem, file, look.size_bytes, look.detail, look.problem)
    if is_model_folder(folder):
        look = look_at_folder(folder)
        yield Find("Folder", folder.name, folder, look.size_bytes, look.detail, look.problem)
    elif depth:
        for inner in models_in(folder):
            yield from _below(inner, depth - 1, folders_left)
