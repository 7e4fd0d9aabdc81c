"""`mlx-hub status`: how the hub's parts are, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import typer

from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import CommandFailed, ExitCode
from mlxhub_site.commands.output import AsJson, console, facts_table, print_json, text

GIB = 1024**3
MIB = 1024**2

_LABELS = {"hub": "Hugging Face", "queue": "Task queue", "starter": "Starter model"}
_COLOURS = {"ok": "green", "degraded": "yellow", "down": "red"}


@for_any_hub
def status(as_json: AsJson = False) -> None:
    """Tell whether the hub works, what is loaded, and how the cache fares.

    Exit status 4 where no chat can be answered.
    """
    with hub() as client:
        health = client.health()
        try:
            cache = client.get("/admin/cache/prompts/stats")
        except CommandFailed:
            cache = None  # the engine is down, which the health says
    if as_json:
        print_json({"health": health, "prompt_cache": cache})
    else:
        table = facts_table()
        for label, value in _facts(health, cache):
            table.add_row(label, value)
        console().print(table)
    if health["status"] == "down":
        raise typer.Exit(ExitCode.UNREACHABLE)


def _facts(health: dict[str, Any], cache: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    yield "Hub", _coloured(health["status"])
    for name, part in health["components"].items():
        said = " ".join(filter(None, (part["detail"], part.get("remedy"))))
        yield _LABELS.get(name, name.capitalize()), f"{_coloured(part['status'])}  {text(said)}"
    state = health["components"]["engine"].get("state")
    if state is not None:
        yield from _engine_facts(state)
    if cache is not None:
        yield "Prompt cache", cache_line(cache)


def _engine_facts(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    began = datetime.fromisoformat(state["started_at"])
    minutes = (datetime.now(UTC) - began).total_seconds() / 60
    accelerator = state["accelerator"]
    blas = f"BLAS {accelerator['blas']}" if accelerator["blas"] else ""
    said = (accelerator["backend"], accelerator["name"], blas, accelerator["warning"])
    yield "Process", f"pid {state['pid']}, up for {minutes:.0f} min"
    yield "Accelerator", text(", ".join(part for part in said if part))
    yield (
        "Engine memory",
        f"{state['active_memory_bytes'] / GIB:.1f} GiB in use, "
        f"{accelerator['memory_ceiling_bytes'] / GIB:.1f} GiB allowed",
    )
    yield "Requests", f"{state['active']} running, {state['queued']} waiting"
    if state["loading"]:
        yield "Loading", text(state["loading"])
    for model in state["models"]:
        weights = model["weights_bytes"] / MIB
        yield "Loaded", f"{text(model['name'])}, {weights:.0f} MiB of weights"


def cache_line(stats: dict[str, Any]) -> str:
    """How full the prompt cache is and how often it helped."""
    hits, misses = stats["total_hits"], stats["total_misses"]
    return (
        f"{stats['memory_entries']} of {stats['max_entries']} entries, "
        f"{stats['memory_bytes'] / MIB:.0f} MiB; {hits:,} hit{'' if hits == 1 else 's'}, "
        f"{misses:,} miss{'' if misses == 1 else 'es'} ({stats['hit_rate']:.0%} hits)"
    )


def _coloured(state: str) -> str:
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else text(state)
