"""`mlx-hub cache | warm`: the prompt cache in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from apps.models.sizes import readable
from mlxhub_site.commands.hub.client import segment
from mlxhub_site.commands.hub.options import for_any_hub, here_only, hub
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import WIDE, AsJson, console, print_json, text
from mlxhub_site.commands.status import cache_line

commands = typer.Typer(no_args_is_help=True, help="List, measure and clear the prompt cache.")


@commands.command("list")
@for_any_hub
def list_entries(as_json: AsJson = False) -> None:
    """List the prompts whose KV is kept, in memory and on disk."""
    with hub() as client:
        found = client.get("/admin/cache/prompts")
    if as_json:
        print_json(found)
        return
    if not found["entries"]:
        typer.echo("The prompt cache is empty. `mlx-hub cache warm TEXT` fills it.")
        return
    out = console()
    wide = out.width >= WIDE
    table = Table(box=None, pad_edge=False)
    # Ids are never broken, to be copied; a narrow terminal gets fewer columns.
    table.add_column("Id", no_wrap=True)
    for heading in ("Model", "Kind") if wide else ():
        table.add_column(heading)
    for heading in ("Tokens", "Size", "Hits"):
        table.add_column(heading, justify="right")
    if wide:
        table.add_column("Where")
    for each in found["entries"]:
        places = (("in_memory", "memory"), ("on_disk", "disk"), ("pinned", "pinned"))
        where = ", ".join(word for name, word in places if each[name])
        figures = (f"{each['tokens']:,}", readable(each["bytes"]), f"{each['hits']:,}")
        named = (each["model"], each["kind"]) if wide else ()
        table.add_row(*map(text, (each["id"], *named, *figures, *([where] if wide else ()))))
    out.print(table)


@commands.command()
@for_any_hub
def stats(as_json: AsJson = False) -> None:
    """Tell how full it is, and what it saved since the engine started."""
    with hub() as client:
        found = client.get("/admin/cache/prompts/stats")
    if as_json:
        print_json(found)
        return
    typer.echo(cache_line(found))
    typer.echo(f"{found['tokens_reused']:,} tokens reused, {found['tokens_computed']:,} computed")


@commands.command()
@for_any_hub
def clear(
    entry: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One entry; default: all of them.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Drop an entry, or everything, from memory and disk."""
    if entry is None and not yes and not typer.confirm("Drop every entry, pinned ones too?"):
        raise typer.Exit(1)
    with hub() as client:
        path = "/admin/cache/prompts" + (f"/{segment(entry)}" if entry else "")
        gone = client.delete(path)
    if as_json:
        print_json(gone)
        return
    count = gone["evicted"]
    typer.echo(f"{count} {'entry' if count == 1 else 'entries'} dropped.")


@commands.command("warm")
@for_any_hub
def warm_text(
    prompt: Annotated[str, typer.Argument(metavar="TEXT|@FILE", help="A system prompt.")],
    model: Annotated[
        str | None, typer.Option(help="MODEL or MODEL:ADAPTER; default: the first one.")
    ] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Keep it from eviction.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute a system prompt's KV ahead of the first chat."""
    body = {"model": model, "system_prompt": _text_of(prompt), "pin": pin}
    with hub() as client:
        warmed = client.post("/admin/cache/prompts/warmup", body)
    if as_json:
        print_json(warmed)
        return
    typer.echo(
        f"{warmed['model']}: {warmed['tokens']:,} tokens are warm, "
        f"{warmed['cached_tokens']:,} were before ({warmed['seconds']:.2f} s)."
    )


@here_only("it waits for each prompt in turn, with the management command.")
def warm() -> None:
    """Compute the KV of every enabled warm prompt, so that its first chat starts fast."""
    from django.core.management import call_command

    call_command("warm_cache")


def _text_of(given: str) -> str:
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"{given[1:]} can't be read: {error}") from error
