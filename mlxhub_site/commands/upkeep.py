"""`mlx-hub backup | restore | upgrade`: the data folder, kept, put back, brought up to date.

They ignore MLXHUB_URL: they are about this machine and no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.models.sizes import readable
from mlxhub_site.commands.home import set_up_django
from mlxhub_site.commands.outcome import CommandFailed, Refused
from mlxhub_site.commands.output import AsJson, print_json, progress_bar

if TYPE_CHECKING:
    from mlxhub_site.upkeep.manifest import Manifest, ModelReference


def backup(
    to: Annotated[
        Path | None,
        typer.Option(help="The archive to write; default: one in backups/ of the data folder."),
    ] = None,
    models: Annotated[
        bool, typer.Option("--models", help="The files in models/ too, not only their names.")
    ] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="What trainings can be resumed from.")
    ] = False,
    secret_key: Annotated[
        bool, typer.Option("--secret-key", help="The key that signs sessions and links.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the hub's data into one archive, while it runs."""
    set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.upkeep.backup import back_up, default_place
    from mlxhub_site.upkeep.contents import Choice

    place = to.expanduser().absolute() if to else default_place(HUB, datetime.now(UTC))
    choice = Choice(models=models, checkpoints=checkpoints, secret_key=secret_key)
    with _explained(), progress_bar() as tell:
        manifest = back_up(hub=HUB, to=place, choice=choice, tell=tell)
    size = place.stat().st_size
    if as_json:
        print_json({"archive": str(place), "size_bytes": size} | _facts(manifest))
    else:
        typer.echo(f"{place}")
    typer.echo(
        f"{_files(manifest)}, {readable(size)}. It holds chats, data "
        "and password hashes: keep it where nobody else reads it.",
        err=True,
    )
    if manifest.models and not models:
        typer.echo(f"Models are named in it, not held: {len(manifest.models)}.", err=True)


def restore(
    archive: Annotated[Path, typer.Argument(help="What `mlx-hub backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put a hub that is there already aside.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Verify the archive, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the data folder what a backup says: all of it, or nothing.

    Restore only what you trust: a backup decides who may sign in.
    """
    set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.upkeep import archive as format
    from mlxhub_site.upkeep.restore import absent
    from mlxhub_site.upkeep.restore import restore as put_back
    from mlxhub_site.upkeep.schema import newer_than_this

    source = archive.expanduser().absolute()
    if check:
        with _explained():
            manifest = format.verify(source, room=2**63)
        if as_json:
            print_json({"archive": str(source)} | _facts(manifest))
            return
        typer.echo(
            f"{source} is whole: {_files(manifest)} of {manifest.made_at:%Y-%m-%d %H:%M}"
            f" UTC, hub {manifest.version}."
        )
        return
    with _explained(), progress_bar() as tell:
        manifest = put_back(
            hub=HUB, source=source, newer_than_this=newer_than_this, replace=replace, tell=tell
        )
    missing = absent(HUB.data_dir, manifest)
    if as_json:
        gone = [model.model_dump(mode="json") for model in missing]
        print_json({"archive": str(source)} | _facts(manifest) | {"absent_models": gone})
        return
    typer.echo(f"Restored {_files(manifest)} of {manifest.made_at:%Y-%m-%d %H:%M} UTC.")
    _tell_absent(missing)
    typer.echo("`mlx-hub up` starts it.")


def upgrade(as_json: AsJson = False) -> None:
    """Bring the database up to this version: copy it, change it, check it."""
    set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.upkeep.contents import DATABASE
    from mlxhub_site.upkeep.database import check
    from mlxhub_site.upkeep.locks import alone
    from mlxhub_site.upkeep.schema import migrate, pending

    with _explained(), alone(HUB.engine_socket.parent, doing="upgrading"):
        missing = pending()
        copy = migrate(HUB)
        if not HUB.database_url:
            check(HUB.data_dir / DATABASE)
    if as_json:
        print_json({"changes": len(missing), "copy": None if copy is None else str(copy)})
        return
    if copy is not None:
        typer.echo(f"The database's copy from before is {copy}")
    said = f"{len(missing)} change{' was' if len(missing) == 1 else 's were'} made."
    typer.echo(said if missing else "It is up to date.")


def _facts(manifest: Manifest) -> dict[str, Any]:
    """What an archive holds, for programs."""
    return {
        "made_at": manifest.made_at.isoformat(),
        "version": manifest.version,
        "files": len(manifest.files),
        "models": [model.slug for model in manifest.models],
    }


def _files(manifest: Manifest) -> str:
    count = len(manifest.files)
    return f"{count:,} file{'' if count == 1 else 's'}"


def _tell_absent(models: list[ModelReference]) -> None:
    """How to get the models' files that are not on this machine."""
    if models:
        typer.echo("Their files are not here; chats and adapters wait for them:")
    for model in models:
        way = (
            f"mlx-hub pull {model.repo_id} --name {model.slug}"
            if model.repo_id
            else f"copy its folder to {model.path}"
        )
        typer.echo(f"- {model.slug}: {way}")


@contextmanager
def _explained() -> Iterator[None]:
    from mlxhub_site.upkeep.errors import UpkeepError, UpkeepRefused

    try:
        yield
    except UpkeepRefused as error:
        raise Refused(str(error)) from error
    except UpkeepError as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        raise CommandFailed(
            f"{error.filename or 'A file'}: {error.strerror}. Nothing was changed."
        ) from error
