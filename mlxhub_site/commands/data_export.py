"""`mlx-hub data export`: the rows of a version as files of this machine."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mlxhub_site.commands.data_jobs import Name, Number, address, misuse, version_of
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import BadUsage, Unreachable
from mlxhub_site.commands.output import AsJson, print_json

if TYPE_CHECKING:
    from apps.datasets.exporting import Format

SPLITS = ("train", "valid", "test")


@for_any_hub
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="An empty or new folder.")],
    format: Annotated[
        str, typer.Option(help="jsonl (what mlx-lm reads), openai, sharegpt or parquet.")
    ] = "jsonl",
    number: Number = None,
    as_json: AsJson = False,
) -> None:
    """Write the rows to a folder, a file for each split."""
    to = to.expanduser().absolute()
    with hub() as client:
        version = version_of(client, name, number)
        write = _received if client.is_remote else _written
        files = write(client, name, version["number"], format, to)
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        typer.echo(str(file))


def _written(client: HubClient, name: str, number: int, format: str, to: Path) -> list[Path]:
    """The files as this machine's hub writes them: of any size, and packed nowhere."""
    from apps.datasets import exporting
    from apps.datasets.errors import DatasetError
    from apps.datasets.models import Dataset

    with misuse(DatasetError):
        version = Dataset.objects.named(name).version(number)
        exporting.require_format(version, format)
        return exporting.export(version=version, to=to, format=cast("Format", format))


def _received(client: HubClient, name: str, number: int, format: str, to: Path) -> list[Path]:
    """The files out of the archive that another hub sends."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadUsage(f"{to} is not empty. Choose a folder that is, or a new one.")
    with tempfile.TemporaryFile() as packed:
        client.save(f"{address(name)}/versions/{number}/export", packed, format=format)
        try:
            with zipfile.ZipFile(packed) as archive:
                return _unpacked(archive, format, to)
        except zipfile.BadZipFile as error:
            raise Unreachable(
                f"What the hub sent is no whole archive: {error}. Try again."
            ) from error


def _unpacked(archive: zipfile.ZipFile, format: str, to: Path) -> list[Path]:
    """Only files of the names that an export has: no archive says where it is written."""
    to.mkdir(parents=True, exist_ok=True)
    there = set(archive.namelist())
    names = [f"{split}.{'parquet' if format == 'parquet' else 'jsonl'}" for split in SPLITS]
    files = [to / name for name in names if name in there]
    for file in files:
        with archive.open(file.name) as source, file.open("xb") as target:
            shutil.copyfileobj(source, target)
    return files
