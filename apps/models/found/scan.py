"""Everything that other programs keep on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.models.found.finds import Find
from apps.models.found.folders import find_in_folder
from apps.models.found.huggingface import find_cached, repo_id_at
from apps.models.found.lmstudio import find_lm_studio
from apps.models.found.ollama import find_ollama
from apps.models.models import LocalModel


@dataclass(frozen=True)
class Places:
    """Where to look; folders that are not there hold nothing."""

    hf_cache: Path
    lm_studio: tuple[Path, ...]
    ollama: Path


def places() -> Places:
    """Where the settings say that other programs keep models."""
    hub = settings.HUB
    return Places(
        hf_cache=Path(hub.hf_cache).expanduser(),
        lm_studio=tuple(Path(each).expanduser() for each in hub.lm_studio_folders),
        ollama=Path(hub.ollama_folder).expanduser(),
    )


def found(where: Places | None = None) -> list[Find]:
    """The models that other programs keep here, program by program."""
    where = where or places()
    return [
        *find_cached(where.hf_cache),
        *(find for root in where.lm_studio for find in find_lm_studio(root)),
        *find_ollama(where.ollama),
    ]


def named(name: str, where: Places | None = None) -> list[Find]:
    """The finds that are called ``name``, in full or by the last part of it."""
    finds = found(where)
    return [f for f in finds if f.name == name] or [f for f in finds if f.label == name]


@dataclass(frozen=True)
class Origin:
    """What the registry records of where a model came from."""

    source: LocalModel.Source
    repo_id: str = ""


def origin_of(path: Path, where: Places | None = None) -> Origin:
    """Which program keeps ``path``."""
    where = where or places()
    if repo_id := repo_id_at(path, where.hf_cache):
        return Origin(LocalModel.Source.HF_CACHE, repo_id)
    if any(path.is_relative_to(root) for root in where.lm_studio):
        return Origin(LocalModel.Source.LM_STUDIO)
    if path.is_relative_to(where.ollama):
        return Origin(LocalModel.Source.OLLAMA)
    return Origin(LocalModel.Source.FOLDER if path.is_dir() else LocalModel.Source.GGUF)


__all__ = ["Find", "Origin", "Places", "find_in_folder", "found", "named", "origin_of", "places"]
