"""One revision of a repository: the files needed of it, and how much of them is here.

No network and no Hugging Face library. What a listing says is untrusted: names
that could leave the folder and checksums that are none never get in.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

RepoType = Literal["model", "dataset"]

# What mlx-lm reads (mlx_lm.utils.DEFAULT_ALLOW_PATTERNS) less code, and what a
# person should have beside it. Pickled weights (*.bin, *.pt) can run code when
# they are loaded, so they are not even fetched.
_WEIGHTS = "model*.safetensors"
_PATTERNS = (
    _WEIGHTS,
    "*.json",
    "*.jsonl",
    "*.jinja",
    "*.tiktoken",
    "*.txt",
    "*.model",
    "README.md",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
)
_TEMPLATES = "additional_chat_templates/"
_POOLING = re.compile(r"\d+_Pooling/config\.json")
"""Says how an embedding model makes one vector of many states."""
_CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file as the repository's listing promises it."""

    name: str
    """Path in the repository; of a model a plain name, or one in a folder that models have."""
    size: int
    """Bytes."""
    checksum: str
    """SHA-256 of the content for large files (LFS), else Git's SHA-1 of the blob; hex."""

    @property
    def part_name(self) -> str:
        """Where it grows. By content, so that no other revision's bytes are continued."""
        return f".{self.checksum}.part"

    def is_content_of(self, path: Path, told: Callable[[int], None] = lambda read: None) -> bool:
        """Whether ``path`` holds this file, whole and undamaged. Reads all of it.

        ``told`` is called with the number of bytes read so far.
        """
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if len(self.checksum) == 64 else _git_blob(self.size)
        with path.open("rb") as stream:
            while chunk := stream.read(1024 * 1024):
                digest.update(chunk)
                told(stream.tell())
        return digest.hexdigest() == self.checksum


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit, cut down to what is needed of it."""

    repo_id: str
    commit: str
    """Full Git commit hash: what is downloaded can't change under way."""
    files: tuple[RemoteFile, ...]
    """In the order to fetch: config.json first, weights last."""
    repo_type: RepoType = "model"

    @property
    def address(self) -> str:
        """Where its page is, behind the hub's address."""
        return self.repo_id if self.repo_type == "model" else f"datasets/{self.repo_id}"

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def is_model(self) -> bool:
        """Whether there is what mlx-lm can't do without: a configuration and weights."""
        names = [file.name for file in self.files]
        return "config.json" in names and any(fnmatchcase(name, _WEIGHTS) for name in names)

    def missing_bytes(self, folder: Path) -> int:
        """How many bytes are still to be written to ``folder``."""
        return sum(file.size - _present_bytes(file, folder) for file in self.files)

    def remove_strays(self, folder: Path) -> None:
        """Remove what an earlier attempt at another revision left in ``folder``."""
        kept = {folder / file.name for file in self.files}
        kept |= {parent for path in kept for parent in path.parents}
        for path in folder.glob("**/*"):
            if path in kept or not path.exists():
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def needed(files: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files a model folder needs, in the order to fetch them."""
    chosen = [file for file in files if _is_needed(file.name) and _is_sound(file)]
    # A refusal shows with the first file, so that file is a small one.
    return tuple(sorted(chosen, key=lambda file: (file.name != "config.json", file.size)))


def safe(files: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files, in whatever folders, that can be kept under their names and checked."""
    return tuple(
        file for file in files if _is_sound(file) and all(map(_is_plain, file.name.split("/")))
    )


def _is_needed(name: str) -> bool:
    if name.startswith(_TEMPLATES):
        return _is_plain(name.removeprefix(_TEMPLATES)) and name.endswith(".jinja")
    if _POOLING.fullmatch(name):
        return True
    return _is_plain(name) and any(fnmatchcase(name, pattern) for pattern in _PATTERNS)


def _is_plain(name: str) -> bool:
    """A visible file name that stays in its folder and can be printed."""
    return bool(name) and not name.startswith(".") and "/" not in name and name.isprintable()


def _is_sound(file: RemoteFile) -> bool:
    return file.size >= 0 and _CHECKSUM.fullmatch(file.checksum) is not None


def _present_bytes(file: RemoteFile, folder: Path) -> int:
    for path in (folder / file.name, folder / file.part_name):
        if path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


def _git_blob(size: int) -> hashlib._Hash:
    """Git's object hash: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects"""
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
