"""What a disk, or somebody at work in the folder, may do to the prompt cache's files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from apps.inference.engine.prompt_cache.entry_files import decode_entry
from apps.inference.engine.prompt_cache.records import SUFFIX, CorruptRecord, read_record

Fault = Callable[[Path, list[Path], random.Random], None]
"""Given the cache's folder, its files (at least one) and a source of chance."""


def files_of(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def is_whole(path: Path) -> bool:
    """Whether the cache would take the file for what its name says."""
    try:
        if path.suffix == SUFFIX:
            return read_record(path).header.name == path.stem
        return decode_entry(path.read_bytes()).id == path.stem
    except CorruptRecord:
        return False


def _other_name(path: Path, rng: random.Random) -> Path:
    """A name of the same form that nothing in the folder has."""
    while (other := path.with_name(f"{rng.getrandbits(128):032x}{path.suffix}")).exists():
        pass
    return other


def flip_a_bit(directory: Path, files: list[Path], rng: random.Random) -> None:
    path = rng.choice(files)
    data = bytearray(path.read_bytes() or b"?")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def truncate(directory: Path, files: list[Path], rng: random.Random) -> None:
    path = rng.choice(files)
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(max(1, len(data)))])


def delete(directory: Path, files: list[Path], rng: random.Random) -> None:
    rng.choice(files).unlink()


def duplicate(directory: Path, files: list[Path], rng: random.Random) -> None:
    path = rng.choice(files)
    shutil.copy(path, _other_name(path, rng))


def rename(directory: Path, files: list[Path], rng: random.Random) -> None:
    path = rng.choice(files)
    path.rename(_other_name(path, rng))


def swap_contents(directory: Path, files: list[Path], rng: random.Random) -> None:
    one = rng.choice(files)
    other = rng.choice([path for path in files if path != one] or files)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def move_a_folder(directory: Path, files: list[Path], rng: random.Random) -> None:
    folder = rng.choice(files).parent
    folder.rename(_other_name(folder, rng))


def replace_by_a_folder(directory: Path, files: list[Path], rng: random.Random) -> None:
    path = rng.choice(files)
    path.unlink()
    path.mkdir()


FAULTS: tuple[Fault, ...] = (
    flip_a_bit,
    truncate,
    delete,
    duplicate,
    rename,
    swap_contents,
    move_a_folder,
    replace_by_a_folder,
)
