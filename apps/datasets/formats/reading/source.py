"""Any source to records: a file, a folder, a ZIP of these. The one door of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from apps.datasets.formats.errors import FormatError, Refused, Unsupported
from apps.datasets.formats.limits import MAX_FILES
from apps.datasets.formats.reading import archive
from apps.datasets.formats.reading.delimited import read_delimited
from apps.datasets.formats.reading.documents import read_document
from apps.datasets.formats.reading.json_files import read_json_file
from apps.datasets.formats.reading.json_lines import read_json_lines
from apps.datasets.formats.reading.parquet import read_parquet
from apps.datasets.formats.reading.records import Fault, Read, Record, Unreadable
from apps.datasets.formats.reading.streams import chunks_of, utf8_chunks

_JSON = (".jsonl", ".ndjson", ".json")
_PACKED = (".gz", ".gzip", ".zst", ".zstd")
_TEXTS: dict[str, Callable[[Iterable[bytes]], Iterator[Read]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_file,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_document,
    ".md": read_document,
    ".markdown": read_document,
}
_PARQUET = (".parquet", ".pq")
_ZIP = ".zip"
SUFFIXES = (*_TEXTS, *_PARQUET, _ZIP)
"""What is read, besides folders; those of texts also behind .gz and .zst."""


def suffix_of(name: str) -> str:
    """The suffix that tells the format: ``.jsonl`` of ``rows.jsonl.gz``; empty where none does."""
    path = PurePosixPath(name.lower())
    if path.suffix in _PACKED:
        inner = PurePosixPath(path.stem).suffix
        return inner if inner in _TEXTS else ""
    return path.suffix if path.suffix in SUFFIXES else ""


def read_source(path: Path) -> Iterator[Read]:
    """Every record of a file or folder, in the order of names and lines.

    Raises FormatError where it can't be read at all, Refused where a bound is exceeded.
    In a folder or archive a file that can't be read is told and the others are read.
    """
    if path.is_dir():
        yield from _read_folder(path)
    elif not path.is_file():
        raise Unsupported(f"There is no file or folder {path}. Check the path.")
    elif suffix_of(path.name) == _ZIP:
        yield from _read_zip(path)
    else:
        yield from _read_file(path)


def _read_file(path: Path) -> Iterator[Read]:
    suffix = suffix_of(path.name)
    if suffix in _PARQUET:
        yield from read_parquet(path)
    elif suffix in _TEXTS:
        with path.open("rb") as file:
            yield from _read_text(suffix, chunks_of(file, path.name))
    else:
        raise Unsupported(
            f"{path.name} is of no kind that is read here. Those are {', '.join(SUFFIXES)}, "
            "texts also packed as .gz or .zst."
        )


def _read_text(suffix: str, chunks: Iterable[bytes]) -> Iterator[Read]:
    return _TEXTS[suffix](utf8_chunks(chunks, legacy=suffix not in _JSON))


def names_in(path: Path) -> list[str]:
    """The files of a folder or archive that are read, by their names there; none of a file.

    Raises FormatError as ``read_source`` does.
    """
    if path.is_dir():
        return [str(file.relative_to(path)) for file in _files_in(path)]
    if suffix_of(path.name) != _ZIP:
        return []
    with archive.members_of(path) as (_, infos):
        return [
            info.filename
            for info in infos
            if PurePosixPath(info.filename.lower()).suffix in (*_PARQUET, *_TEXTS)
        ]


def _files_in(folder: Path) -> list[Path]:
    # A link may lead anywhere, to somebody's keys among others.
    return sorted(
        path
        for path in folder.rglob("*")
        if suffix_of(path.name) not in ("", _ZIP) and path.is_file() and not path.is_symlink()
    )


def _read_folder(folder: Path) -> Iterator[Read]:
    files = _files_in(folder)
    if not files:
        raise Unsupported(f"No file in {folder} is of a kind that is read here. Choose another.")
    if len(files) > MAX_FILES:
        raise Refused(f"{folder} holds {len(files):,} files; {MAX_FILES:,} are taken. Split it.")
    for path in files:
        yield from _named(str(path.relative_to(folder)), _read_file(path))


def _read_zip(path: Path) -> Iterator[Read]:
    found = False
    with archive.members_of(path) as (opened, infos):
        for info in infos:
            suffix = PurePosixPath(info.filename.lower()).suffix  # packed once is enough
            if archive.is_unsafe(info.filename):
                found = True
                detail = "Its name leads out of the archive. It was left out."
                yield Unreadable(0, Fault.FILE, detail, info.filename)
            elif suffix in _PARQUET:
                found = True
                with archive.unpacked(opened, info) as file:
                    yield from _named(info.filename, read_parquet(file))
            elif suffix in _TEXTS:
                found = True
                chunks = archive.chunks_of_member(opened, info)
                yield from _named(info.filename, _read_text(suffix, chunks))
    if not found:
        raise Unsupported(f"No file in {path.name} is of a kind that is read here.")


def _named(name: str, reads: Iterator[Read]) -> Iterator[Read]:
    """Records with the file's name; of texts also in the row, to split them by document."""
    try:
        for read in reads:
            if isinstance(read, Record) and read.value.keys() == {"text"}:
                yield Record(read.line, {"text": read.value["text"], "file": name}, name)
            else:
                yield replace(read, file=name)
    except Refused:
        raise
    except FormatError as error:
        yield Unreadable(0, Fault.FILE, str(error), name)
