"""A name for what a model computes: equal digests, equal output.

Prompt caches are kept under this name, so it covers everything that decides what
a prompt turns into: weights, configuration, tokenizer, chat template, pooling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.models.runtime.errors import ModelFormatError

CHUNK_BYTES = 1024 * 1024

# By kind rather than by name: tokenizers come in many files, and a digest that
# changes once too often costs a cache, one that stays the same costs the truth.
_SUFFIXES = {".safetensors", ".json", ".jinja", ".model", ".tiktoken", ".txt"}
_TEMPLATES = "additional_chat_templates"
_POOLING = "*_Pooling/config.json"


@dataclass(frozen=True)
class FileDigest:
    """One file's contents."""

    size: int
    """Bytes."""
    sha256: str
    """64 hex digits."""


def digest_of(files: Mapping[str, FileDigest]) -> str:
    """ "sha256:" and 64 hex digits over the names and contents of a model folder's files."""
    whole = hashlib.sha256()
    for name in sorted(files):
        # Both parts are of fixed length, so no two folders can run together.
        whole.update(hashlib.sha256(name.encode()).digest())
        whole.update(bytes.fromhex(files[name].sha256))
    return f"sha256:{whole.hexdigest()}"


def digest_files(
    path: Path, progress: Callable[[float], None] | None = None
) -> dict[str, FileDigest]:
    """What each file of a model folder that decides its output holds, by name.

    Depends neither on where the folder lies nor on the order its files are listed
    in; links are followed. ``progress`` is called with the share of bytes read,
    0.0 to 1.0. Raises ModelFormatError where there is nothing to read, or it can't be.
    """
    try:
        files = {file.relative_to(path).as_posix(): file for file in _relevant(path)}
        if not files:
            raise ModelFormatError(
                f"{path} holds no model. Choose a folder with config.json and safetensors files."
            )
        reader = _Reader(sum(file.stat().st_size for file in files.values()), progress)
        return {name: reader.digest(files[name]) for name in sorted(files)}
    except OSError as error:
        raise ModelFormatError(
            f"The model in {path} can't be read ({error}). Check the files and their permissions."
        ) from error


def digest_adapter(weights: bytes, config: bytes) -> str:
    """ "sha256:" and 64 hex digits over an adapter's two files.

    Takes what was read rather than where it lies: an adapter may be rewritten in
    place between two looks at it.
    """
    whole = hashlib.sha256(hashlib.sha256(weights).digest())
    whole.update(hashlib.sha256(config).digest())
    return f"sha256:{whole.hexdigest()}"


def _relevant(path: Path) -> list[Path]:
    candidates = [*path.iterdir(), *(path / _TEMPLATES).glob("*"), *path.glob(_POOLING)]
    return [
        file
        for file in candidates
        if file.suffix in _SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]


class _Reader:
    """Digests one file after another and says how far along all of them it is."""

    def __init__(self, total: int, progress: Callable[[float], None] | None) -> None:
        self.total = total
        self.progress = progress
        self.done = 0

    def digest(self, file: Path) -> FileDigest:
        content = hashlib.sha256()
        size = 0
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                content.update(chunk)
                size += len(chunk)
                self.done += len(chunk)
                if self.progress:
                    self.progress(min(1.0, self.done / self.total))
        return FileDigest(size, content.hexdigest())
