"""LM Studio's folders: ``models/PUBLISHER/REPOSITORY/`` with GGUF files or an MLX model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from apps.models.found.finds import Find, look_at_folder, look_at_gguf
from apps.models.found.folders import gguf_files, is_model_folder, models_in


def find_lm_studio(root: Path) -> Iterator[Find]:
    """The models below LM Studio's folder ``root``."""
    for publisher in models_in(root):
        for repository in models_in(publisher):
            repo_id = f"{publisher.name}/{repository.name}"
            for file in gguf_files(repository):
                look = look_at_gguf(file)
                name = f"{repo_id}/{file.stem}"
                yield Find("LM Studio", name, file, look.size_bytes, look.detail, look.problem)
            if is_model_folder(repository):
                look = look_at_folder(repository)
                yield Find(
                    "LM Studio", repo_id, repository, look.size_bytes, look.detail, look.problem
                )
