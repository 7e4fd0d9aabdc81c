"""What was found, and whether it can be imported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.families import loads
from apps.models.runtime.inspect import inspect_model

Place = Literal["Hugging Face cache", "LM Studio", "Ollama", "Folder"]
"""Whose it is."""


@dataclass(frozen=True)
class Find:
    """One model that was found."""

    place: Place
    name: str
    """As the program calls it: "mlx-community/Qwen3-0.6B-4bit", "llama3.2:1b"."""
    path: Path
    """The model folder or the GGUF file."""
    size_bytes: int
    """Of the weights."""
    detail: str
    """Its family and kind of weights, such as "qwen3, 4-bit"."""
    problem: str = ""
    """Why it can't be imported, and what to do; empty where it can."""
    repo_id: str = ""
    """Where it comes from on Hugging Face, if that is known."""

    @property
    def is_gguf(self) -> bool:
        return not self.path.is_dir()

    @property
    def label(self) -> str:
        """The name's last part, which a model is called by for people."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True)
class Look:
    """What the headers at a path say."""

    size_bytes: int
    detail: str
    problem: str


def look_at_folder(folder: Path) -> Look:
    """What the model folder holds."""
    return _folder(folder, _version(folder))


def look_at_gguf(file: Path) -> Look:
    """What the GGUF file holds."""
    return _gguf(file, _version(file))


def _version(path: Path) -> int:
    """Changes with the path's contents, so that headers are read once for each state of them."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4096)
def _folder(folder: Path, _version: int) -> Look:
    try:
        facts = inspect_model(folder)
    except ModelFormatError as error:
        return Look(weight_bytes(folder), "", str(error))
    detail = f"{facts.architecture}, {facts.quantization}"
    if facts.kind == "embedding" or loads(facts.architecture):
        return Look(facts.size_bytes, detail, "")
    problem = (
        f"mlx-lm does not know the family {facts.architecture!r}. Look for another version of "
        "the model, or update the hub."
    )
    return Look(facts.size_bytes, detail, problem)


@lru_cache(maxsize=4096)
def _gguf(file: Path, _version: int) -> Look:
    from apps.models.runtime.gguf.peek import peek  # not in every Django process

    try:
        head = peek(file)
    except ModelFormatError as error:
        return Look(weight_bytes(file), "", str(error))
    return Look(weight_bytes(file), head.detail, head.problem)


def weight_bytes(path: Path) -> int:
    """Bytes of a file, or of a folder's weight files; 0 for what can't be read."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        kinds = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
        return sum(f.stat().st_size for f in path.iterdir() if f.suffix in kinds and f.is_file())
    except OSError:
        return 0
