"""Which files of a dataset are which configuration and split.

Told by the card's ``configs``, as https://huggingface.co/docs/hub/datasets-manual-configuration
has it, else by the names of files and folders
(https://huggingface.co/docs/hub/datasets-file-names-and-splits). Where a repository has no
rows that are read here, the hub's own conversion of it to Parquet may: the branch
``refs/convert/parquet`` holds CONFIG/SPLIT/0000.parquet.

All of it is untrusted: patterns are matched by segments, in bounded time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from apps.datasets.formats.named_splits import split_said_by
from apps.datasets.formats.reading.source import suffix_of
from apps.discovery.reading import table, text
from apps.discovery.snapshot import RemoteFile, safe

DEFAULT = "default"
"""The configuration of a repository that names none."""

TRAIN = "train"

MAX_PARTS = 2_000
"""Configurations times splits that are offered."""

_MAX_PATTERNS = 200
_MAX_SEGMENTS = 12
_WORDS = frozenset({".txt", ".md", ".markdown"})
"""Kinds of files that are rather about the rows than rows."""
_ABOUT = frozenset({"dataset_infos.json", "dataset_dict.json", "state.json", "dataset_info.json"})
_SHARD = re.compile(r"(?:^|/)(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}")
_CONVERTED = re.compile(r"(?P<config>[^/]+)/(?:partial-)?(?P<split>[^/]+)/\d+\.parquet")


@dataclass(frozen=True)
class DataPart:
    """One split of one configuration."""

    config: str
    split: str
    files: tuple[RemoteFile, ...]

    @property
    def nbytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def split_here(self) -> str:
        """Which of the three splits of this hub its rows belong to: train, valid or test."""
        return split_said_by(self.split) or TRAIN


def parts_of(files: Iterable[RemoteFile], card: Mapping[str, Any]) -> tuple[DataPart, ...]:
    """The parts that a repository's own files make; none where no file is read here."""
    rows = [file for file in safe(files) if _holds_rows(file.name)]
    parts = list(_told(rows, card)) or _inferred(rows, DEFAULT)
    return tuple(parts[:MAX_PARTS])


def converted_parts(files: Iterable[RemoteFile]) -> tuple[DataPart, ...]:
    """The parts of the hub's conversion to Parquet."""
    found: dict[tuple[str, str], list[RemoteFile]] = defaultdict(list)
    for file in safe(files):
        if named := _CONVERTED.fullmatch(file.name):
            found[named["config"], named["split"]].append(file)
    return tuple(DataPart(*key, tuple(its)) for key, its in list(found.items())[:MAX_PARTS])


def matches(name: str, pattern: str) -> bool:
    """Whether a file's path fits a pattern of the card: ``*`` within a folder, ``**`` across."""
    segments = pattern.split("/")
    if len(segments) > _MAX_SEGMENTS:
        return False
    return _segments_match(tuple(name.split("/")), tuple(segments))


def _holds_rows(name: str) -> bool:
    return suffix_of(name) not in ("", ".zip") and name.rpartition("/")[2] not in _ABOUT


def _told(rows: Sequence[RemoteFile], card: Mapping[str, Any]) -> Iterator[DataPart]:
    """What the card says, as far as there are files of it."""
    configs = card.get("configs")
    for config in map(table, configs if isinstance(configs, list) else ()):
        name = text(config.get("config_name")) or DEFAULT
        folder = text(config.get("data_dir")).strip("/")
        mine = [file for file in rows if not folder or file.name.startswith(f"{folder}/")]
        patterns = list(_patterns(config.get("data_files"), TRAIN))[:_MAX_PATTERNS]
        if not patterns:
            yield from _inferred(mine, name)
            continue
        chosen: dict[str, dict[str, RemoteFile]] = defaultdict(dict)
        for split, pattern in patterns:
            full = f"{folder}/{pattern}" if folder else pattern
            chosen[split] |= {file.name: file for file in mine if matches(file.name, full)}
        yield from (
            DataPart(name, split, tuple(its.values())) for split, its in chosen.items() if its
        )


def _patterns(given: object, split: str) -> Iterator[tuple[str, str]]:
    """Splits and patterns of ``data_files``: a text, a list, or objects of split and path."""
    if isinstance(given, str) and (pattern := text(given)):
        yield split, pattern.removeprefix("./")
    elif isinstance(given, list):
        for each in given[:_MAX_PATTERNS]:
            if isinstance(each, dict):
                yield from _patterns(each.get("path"), text(each.get("split")) or split)
            elif isinstance(each, str):
                yield from _patterns(each, split)
    elif isinstance(given, dict):
        for name, paths in list(given.items())[:_MAX_PATTERNS]:
            yield from _patterns(paths, text(name) or split)


def _inferred(rows: Sequence[RemoteFile], config: str) -> list[DataPart]:
    """Files of the kind that most bytes are of, by the splits that their names tell."""
    sizes: dict[str, int] = defaultdict(int)
    for file in rows:
        sizes[suffix_of(file.name)] += file.size
    kinds = sizes.keys() - _WORDS or sizes.keys() - {".md", ".markdown"}
    if not kinds:
        return []
    kind = max(kinds, key=lambda each: (sizes[each], each))
    found: dict[str, list[RemoteFile]] = defaultdict(list)
    for file in rows:
        if suffix_of(file.name) == kind:
            found[_split_of(file.name)].append(file)
    return [DataPart(config, split, tuple(its)) for split, its in found.items()]


def _split_of(name: str) -> str:
    if shard := _SHARD.search(name):
        return shard["split"]
    said = split_said_by(name)
    return {"valid": "validation"}.get(said, said) or TRAIN


def _segments_match(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    @cache
    def fits(name: int, pattern: int) -> bool:
        if pattern == len(patterns):
            return name == len(names)
        if patterns[pattern] == "**":
            more = name < len(names) and fits(name + 1, pattern)
            return more or fits(name, pattern + 1)
        if name == len(names) or not fnmatchcase(names[name], patterns[pattern]):
            return False
        return fits(name + 1, pattern + 1)

    return fits(0, 0)
