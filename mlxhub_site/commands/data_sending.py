"""A file or folder of this machine, sent to a hub piece by piece."""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mlxhub_site.commands.hub.client import HubClient, segment
from mlxhub_site.commands.job_kinds import Job
from mlxhub_site.commands.outcome import BadUsage, CommandFailed, NotFound, Unreachable
from mlxhub_site.commands.output import progress_bar

TRIES = 4
"""Times that one piece is sent where the connection breaks."""

WAIT_SECONDS = 1.0
"""Before the next try."""


def send(client: HubClient, source: Path, name: str) -> Job:
    """The import of what lies here, once all of it is there. Raises CommandFailed."""
    if not source.exists():
        raise NotFound(f"There is no file or folder {source}. Check the path.")
    with _as_file(source) as file, file.open("rb") as stream:
        begun = client.post("/api/uploads", {"file": file.name, "size": file.stat().st_size})
        name = name or (source.name if source.is_dir() else "")
        return _sent(client, stream, begun, name)


def _sent(client: HubClient, stream: BinaryIO, begun: dict[str, Any], name: str) -> Job:
    path = f"/api/uploads/{segment(begun['token'])}"
    size = stream.seek(0, 2)
    at = 0
    with progress_bar() as tell:
        while True:
            tell("sending", at / size)
            stream.seek(at)
            piece = stream.read(begun["piece_bytes"])
            answer = _put(client, path, piece, offset=at, name=name)
            if answer["job"] is not None:
                job: Job = answer["job"]
                return job
            if answer["received"] <= at:
                raise CommandFailed("The hub lost what was sent. Send the file again.")
            at = answer["received"]


def _put(client: HubClient, path: str, piece: bytes, **query: Any) -> Any:
    """Send a piece, again where the connection broke: the hub knows what it has."""
    for _ in range(TRIES - 1):
        try:
            return client.put_bytes(path, piece, **query)
        except Unreachable:
            time.sleep(WAIT_SECONDS)
    return client.put_bytes(path, piece, **query)


@contextmanager
def _as_file(source: Path) -> Iterator[Path]:
    """The file itself, or a ZIP of the files in a folder that a hub reads. Raises BadUsage."""
    if not source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="mlx-hub-") as folder:
        packed = Path(folder) / f"{source.absolute().name or 'folder'}.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in _readable(source):
                archive.write(file, file.relative_to(source))
        yield packed


def _readable(folder: Path) -> list[Path]:
    """Raises BadUsage where there is none, or one that is packed already."""
    from apps.datasets.formats.reading.source import SUFFIXES, suffix_of

    files = [
        file
        for file in sorted(folder.rglob("*"))
        if suffix_of(file.name) not in ("", ".zip") and file.is_file() and not file.is_symlink()
    ]
    if not files:
        raise BadUsage(f"No file in {folder} is of a kind that a hub reads: {', '.join(SUFFIXES)}.")
    if packed := [file for file in files if file.suffix.lower() in (".gz", ".zst")]:
        raise BadUsage(
            f"{packed[0]} is packed, and so would be the folder. Unpack it, or import it by itself."
        )
    return files
