"""Versions as files to take away: a folder, or a ZIP that is made while it is sent."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast, get_args

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.parquet_export import fields_in, write_parquet
from apps.datasets.formats.shapes import Shape, lines_of, rows_of, takes
from apps.datasets.formats.store.index import SPLITS
from apps.datasets.models import DatasetVersion

Format = Literal["jsonl", "openai", "sharegpt", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

LABELS: dict[Format, str] = {
    "jsonl": "mlx-lm (JSON Lines)",
    "openai": "OpenAI (JSON Lines)",
    "sharegpt": "ShareGPT (JSON Lines)",
    "parquet": "Parquet",
}

MAX_PARQUET_BYTES = 256 * 1024 * 1024
"""Of a version that a page or the API makes Parquet of; it takes some seconds. A command may
take its time."""

_PIECE = 256 * 1024
_ZIPPED_AT = 3
"""Level: text packs to a quarter, as fast as a network takes it."""


def formats_of(version: DatasetVersion) -> list[tuple[Format, str]]:
    """The formats that this version's rows can have."""
    return [(each, LABELS[each]) for each in FORMATS if _can_be(version, each)]


def splits_of(version: DatasetVersion) -> list[str]:
    """The splits that have rows."""
    return [split for split in SPLITS if getattr(version, f"{split}_rows")]


def export(*, version: DatasetVersion, to: Path, format: Format = "jsonl") -> list[Path]:
    """Write the rows to a new folder, a file for each split. Raises BadDataOrder."""
    require_format(version, format)
    to = to.expanduser().absolute()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadDataOrder(f"{to} is not empty. Choose a folder that is, or a new one.")
    to.mkdir(parents=True, exist_ok=True)
    files = []
    for split in splits_of(version):
        file = to / file_name(split, format)
        if format == "jsonl":
            shutil.copy2(version.folder / file.name, file)
        elif format == "parquet":
            _write_parquet(version, split, file)
        else:
            with file.open("xb") as stream:
                stream.writelines(lines_of(version.files, split, cast("Shape", format)))
        files.append(file)
    return files


def require_format(version: DatasetVersion, format: str, *, at_once: bool = False) -> None:
    """Raises BadDataOrder where the rows can't have this format.

    ``at_once``: somebody waits for the first byte, so what takes long is refused.
    """
    if format not in FORMATS:
        raise BadDataOrder(f"There is no format {format!r}. There are: {', '.join(FORMATS)}.")
    if not _can_be(version, format):
        raise BadDataOrder(
            f"{version} has {version.get_kind_display().lower()}, which {format} has no shape for. "
            "Choose jsonl or parquet."
        )
    if at_once and format == "parquet" and version.nbytes > MAX_PARQUET_BYTES:
        raise BadDataOrder(
            f"{version} is too large to become Parquet while somebody waits. Run "
            f"`mlx-hub data export {version.dataset.slug} --format parquet --to FOLDER`."
        )


def file_name(split: str, format: str) -> str:
    """What the file of a split is called in a folder or ZIP."""
    return f"{split}.{'parquet' if format == 'parquet' else 'jsonl'}"


def zipped(version: DatasetVersion, format: Format) -> Iterator[bytes]:
    """A ZIP of the folder that ``export`` writes, piece by piece."""
    sink = _Sink()
    made = version.created_at.timetuple()[:6]
    with zipfile.ZipFile(sink, "w", compresslevel=_ZIPPED_AT) as archive:
        for split in splits_of(version):
            entry = zipfile.ZipInfo(file_name(split, format), cast("tuple[int, ...]", made))  # type: ignore[arg-type]
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as member:
                for piece in _pieces(version, split, format):
                    member.write(piece)
                    if sink.held >= _PIECE:
                        yield sink.taken()
    yield sink.taken()


def split_file(version: DatasetVersion, split: str) -> Iterator[bytes]:
    """A split's file as it is kept, piece by piece."""
    with (version.folder / f"{split}.jsonl").open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _pieces(version: DatasetVersion, split: str, format: Format) -> Iterator[bytes]:
    if format != "parquet":
        yield from lines_of(version.files, split, format)
        return
    with tempfile.TemporaryDirectory(prefix="mlx-hub-") as folder:
        path = Path(folder) / "rows.parquet"
        _write_parquet(version, split, path)
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield piece


def _write_parquet(version: DatasetVersion, split: str, path: Path) -> None:
    fields = fields_in(rows_of(version.files, split))
    write_parquet(rows_of(version.files, split), path, fields)


def _can_be(version: DatasetVersion, format: Format) -> bool:
    return format == "parquet" or takes(format, version.kind)


class _Sink(io.RawIOBase):
    """What a ZIP is written to and taken from; it can't be sought in, so nothing is held back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.held = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        self.held += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        """All that was written since the last time."""
        taken, self._pieces, self.held = b"".join(self._pieces), [], 0
        return taken
