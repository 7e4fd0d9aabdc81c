"""`mlx-hub search` and `mlx-hub info`: find and judge models on Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from apps.models.sizes import readable
from mlxhub_site.commands.hub.client import segment
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import (
    WIDE,
    AsJson,
    console,
    facts_table,
    print_json,
    scaled,
    text,
)

Refresh = Annotated[bool, typer.Option("--refresh", help="Ask anew though an answer is kept.")]

GIB = 1024**3

_VERDICTS = {"fits": "green", "tight": "yellow", "too big": "red"}

Facts = dict[str, Any]


@for_any_hub
def search(
    words: Annotated[list[str] | None, typer.Argument(help="Words of the repository's id.")] = None,
    sort: Annotated[str, typer.Option(help="trending, downloads, likes or newest.")] = "trending",
    format: Annotated[str, typer.Option(help="mlx, safetensors, gguf or any.")] = "mlx",
    task: Annotated[str, typer.Option(help="Such as text-generation.")] = "",
    architecture: Annotated[str, typer.Option(help="Such as qwen3.")] = "",
    license: Annotated[str, typer.Option(help="Such as apache-2.0.")] = "",
    gate: Annotated[str, typer.Option(help="open or gated.")] = "",
    quantization: Annotated[str, typer.Option(help="Such as 4-bit; full: not quantised.")] = "",
    min_params: Annotated[float | None, typer.Option(min=0, help="In billions.")] = None,
    max_params: Annotated[float | None, typer.Option(min=0, help="In billions.")] = None,
    max_gb: Annotated[float | None, typer.Option(min=0, help="Size of the weights.")] = None,
    cursor: Annotated[str, typer.Option(help="Of the page before, to go on.")] = "",
    refresh: Refresh = False,
    as_json: AsJson = False,
) -> None:
    """Search Hugging Face for models."""
    asked = {
        "q": " ".join(words or ()), "sort": sort, "format": format, "task": task,
        "architecture": architecture, "license": license, "gate": gate,
        "quantization": quantization, "cursor": cursor,
        "min_parameters": _billions("--min-params", min_params),
        "max_parameters": _billions("--max-params", max_params),
        "max_bytes": _billions("--max-gb", max_gb),
    }  # fmt: skip
    with hub() as client:
        found = client.get("/api/discovery/search", anew=refresh, **asked)
    if as_json:
        print_json(found)
    else:
        _show_found(found, console())


@for_any_hub
def info(
    repo: Annotated[str, typer.Argument(help="OWNER/NAME, or an address on Hugging Face.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit; default: newest.")] = "",
    context: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Tokens of the chat that should fit.")
    ] = 4096,
    refresh: Refresh = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a model on Hugging Face is, what it needs, and whether it fits the machine."""
    owner, name, from_address = _repository(repo)
    with hub() as client:
        found = client.get(
            f"/api/discovery/models/{segment(owner)}/{segment(name)}",
            revision=revision or from_address,
            context=context,
            anew=refresh,
        )
    if as_json:
        print_json(found)
    else:
        _show_model(found, console())


def _billions(option: str, number: float | None) -> int | None:
    if number is None:
        return None
    if not number < 10**6:  # nor is NaN
        raise BadUsage(f"{option}: {number} is too much. Give billions, such as 7.")
    return int(number * 10**9)


def _repository(given: str) -> tuple[str, str, str]:
    """Owner, name and revision of ``OWNER/NAME`` or of an address. Raises BadUsage."""
    path = urlsplit(given).path if "://" in given else given
    match path.strip("/").split("/"):
        case [owner, name] if not {owner, name} & {"", ".", ".."}:
            return owner, name, ""
        case [owner, name, "tree" | "blob" | "resolve", revision, *_] if "://" in given:
            return owner, name, revision
        case _:
            raise BadUsage(f"{given!r} can't be a repository. Write it as OWNER/NAME.")


def _show_found(found: Facts, out: Console) -> None:
    _show_problem(found["problem"], out)
    wide = out.width >= WIDE
    table = Table(box=None, pad_edge=False)
    # Names are never broken, to be copied; a narrow terminal gets fewer columns.
    table.add_column("Model", no_wrap=True)
    if wide:
        table.add_column("Parameters", justify="right")
    table.add_column("Weights")
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("Fit", no_wrap=True)
    if wide:
        table.add_column("Licence")
        table.add_column("Downloads", justify="right")
    for model in found["models"]:
        parameters = scaled(model["parameters"]) if model["parameters"] else ""
        table.add_row(
            text(model["repo_id"]) + (" [yellow](gated)[/]" if model["is_gated"] else ""),
            *([parameters] if wide else []),
            text(model["quantization"]),
            readable(model["weight_bytes"]) if model["weight_bytes"] else "",
            _verdict(model["fit"]),
            *([text(model["license"]), scaled(model["downloads"])] if wide else []),
        )
    if found["models"]:
        out.print(table)
    else:
        out.print(f"None of {found['looked_at']} models fits.")
    if found["cursor"]:
        out.print(f"There are more: add --cursor {text(found['cursor'])}", soft_wrap=True)


def _show_model(found: Facts, out: Console) -> None:
    repo_id = text(found["model"]["repo_id"])
    _show_problem(found["problem"], out)
    out.print(f"[bold]{repo_id}[/]")
    table = facts_table()
    for label, value in _facts(found):
        table.add_row(label, text(value))
    for fit in found["fits"]:
        table.add_row(text(fit["purpose"]), _fit_line(fit))
    out.print(table)
    for problem in found["problems"].values():
        _show_problem(problem, out)
    if found["is_loadable"]:
        out.print(f"[dim]Download it:[/] mlx-hub pull {repo_id}")
    else:
        out.print(text(found["why_not"]), soft_wrap=True)


def _facts(found: Facts) -> Iterator[tuple[str, str]]:
    model, context = found["model"], found["context_length"]
    known = {
        "Parameters": scaled(found["parameters"]) if found["parameters"] else "",
        "Weights": model["quantization"],
        "Architecture": str(found["config"].get("model_type") or model["architecture"]),
        "Context": f"{context:,} tokens" if context else "",
        "Download": readable(found["download_bytes"]) if found["is_loadable"] else "",
        "Licence": model["license"] or "not stated",
        "Access": "gated" if model["is_gated"] else "",
        "Task": model["task"],
        "Made from": ", ".join(model["base_models"]),
        "Downloads": f"{model['downloads']:,} in 30 days",
        "Updated": (model["updated_at"] or "")[:10],
        "Commit": found["commit"],
    }
    yield from ((label, value) for label, value in known.items() if value)


def _fit_line(fit: Facts) -> str:
    if fit["reason"]:
        return f"{_verdict(fit['verdict'])}: {text(fit['reason'])}"
    needed, free = fit["needed_bytes"] / GIB, fit["free_bytes"] / GIB
    return f"{_verdict(fit['verdict'])}: needs {needed:.1f} GiB of {free:.1f} GiB"


def _verdict(verdict: str) -> str:
    style = _VERDICTS.get(verdict)
    return f"[{style}]{verdict.capitalize()}[/]" if style else text(verdict.capitalize())


def _show_problem(problem: str, out: Console) -> None:
    if problem:
        out.print(f"[yellow]{text(problem)}[/]", soft_wrap=True)
