"""Hugging Face's cache.

``models--OWNER--NAME/snapshots/COMMIT/`` holds links into ``blobs/``, and ``refs/main``
the newest commit that was asked for. https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from apps.models.found.finds import Find, Look, look_at_folder, look_at_gguf
from apps.models.found.folders import gguf_files, is_model_folder, models_in

_REPOSITORY = re.compile(
    r"models--(?P<owner>[A-Za-z0-9][A-Za-z0-9._-]*?)(?:--(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_REF = 200


def find_cached(root: Path) -> Iterator[Find]:
    """The models in the cache ``root``, one for each repository and GGUF file."""
    for repository in models_in(root):
        repo_id = repo_id_of(repository)
        snapshot = _snapshot(repository) if repo_id else None
        if snapshot is not None:
            yield from _finds(snapshot, repo_id)


def repo_id_of(repository: Path) -> str:
    """The hub's name of a repository's folder in the cache; empty where it is no such folder."""
    match = _REPOSITORY.fullmatch(repository.name)
    if match is None:
        return ""
    return "/".join(part for part in match.groups() if part)


def repo_id_at(path: Path, root: Path) -> str:
    """The repository in the cache ``root`` that ``path`` belongs to; empty for none."""
    if not path.is_relative_to(root) or path == root:
        return ""
    return repo_id_of(root / path.relative_to(root).parts[0])


def _finds(snapshot: Path, repo_id: str) -> Iterator[Find]:
    for file in gguf_files(snapshot):
        name = f"{repo_id}/{file.name}"
        yield _find(name, file, look_at_gguf(file), repo_id)
    # Many repositories are there for their tokenizer or configuration alone.
    if is_model_folder(snapshot):
        yield _find(repo_id, snapshot, look_at_folder(snapshot), repo_id)


def _find(name: str, path: Path, look: Look, repo_id: str) -> Find:
    return Find(
        "Hugging Face cache", name, path, look.size_bytes, look.detail, look.problem, repo_id
    )


def _snapshot(repository: Path) -> Path | None:
    """The commit that ``main`` is at, else the youngest one; None where there is none."""
    try:
        with (repository / "refs" / "main").open(encoding="ascii") as file:
            commit = file.read(_LONGEST_REF).strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    folders = models_in(repository / "snapshots")
    snapshots = {folder.name: folder for folder in folders if _COMMIT.fullmatch(folder.name)}
    if commit in snapshots:
        return snapshots[commit]
    return max(snapshots.values(), key=lambda folder: folder.stat().st_mtime, default=None)
