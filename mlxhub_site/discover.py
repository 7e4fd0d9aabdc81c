"""`mlx-hub search` and `mlx-hub info`: find and judge models on Hugging Face.

Django is set up by the time a command runs, and not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from django.core.management import CommandError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlxhub_site.registry import WIDE

if TYPE_CHECKING:
    from apps.discovery.finding import Found
    from apps.discovery.presentation import ModelView
    from apps.models.fit import Fit

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as /api/discovery answers it.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask anew though an answer is kept.")]

_VERDICTS = {"fits": "green", "tight": "yellow", "too big": "red"}


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
    from apps.discovery.finding import find_models
    from apps.discovery.forms import SearchForm
    from apps.discovery.schemas import SearchResults

    given = {
        "q": " ".join(words or ()), "sort": sort, "format": format, "task": task,
        "architecture": architecture, "license": license, "gate": gate,
        "quantization": quantization, "min_params": min_params, "max_params": max_params,
        "max_gb": max_gb, "cursor": cursor,
    }  # fmt: skip
    form = SearchForm(given)
    if not form.is_valid():
        name, problems = next(iter(form.errors.items()))
        choices = getattr(form.fields[name], "choices", ())
        known = ", ".join(key for key, _ in choices if key)
        said = f"Choose one of {known}." if known else problems[0]
        raise CommandError(f"--{name.replace('_', '-')}: {said}")
    with _explained():
        found = find_models(form.wanted, cursor, anew=refresh)
    if as_json:
        typer.echo(SearchResults.of(found).model_dump_json(indent=2))
        return
    _show_found(found, Console())


def info(
    repo: Annotated[str, typer.Argument(help="OWNER/NAME, or an address on Hugging Face.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit; default: newest.")] = "",
    context: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Tokens of the chat that should fit.")
    ] = 4096,
    refresh: Refresh = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a model on Hugging Face is, what it needs, and whether it fits this machine."""
    from django.conf import settings

    from apps.discovery.model_page import model_facts
    from apps.discovery.presentation import ModelView
    from apps.discovery.reference import Reference, is_revision, reference_in
    from apps.discovery.schemas import ModelOut

    named = reference_in(repo, settings.HUB.hf_endpoint) or Reference(repo)
    revision = revision or named.revision
    if revision and not is_revision(revision):
        raise CommandError(f"No revision can be called {revision!r}. Name a branch, tag or commit.")
    with _explained():
        kept = model_facts(named.repo_id, revision, anew=refresh)
    view = ModelView.of(kept, {"context": str(context), "revision": revision})
    if as_json:
        typer.echo(ModelOut.of(view).model_dump_json(indent=2))
        return
    _show_model(view, Console())


@contextmanager
def _explained() -> Iterator[None]:
    from apps.discovery.errors import DiscoveryError

    try:
        yield
    except DiscoveryError as error:
        raise CommandError(str(error)) from error


def _show_found(found: Found, console: Console) -> None:
    from apps.discovery.templatetags.discover import fit_on
    from apps.inference.machine import this_machine
    from apps.models.sizes import readable
    from apps.system.templatetags.shell import scaled

    _show_problem(found.problem, console)
    wide, machine = console.width >= WIDE, this_machine()
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
    for model in found.models:
        fit = fit_on(model, machine)
        parameters = scaled(model.parameters) if model.parameters else ""
        table.add_row(
            escape(model.repo_id) + (" [yellow](gated)[/]" if model.is_gated else ""),
            *([parameters] if wide else []),
            escape(model.quantization),
            readable(model.weight_bytes) if model.weight_bytes else "",
            _verdict(fit) if fit else "",
            *([escape(model.license), scaled(model.downloads)] if wide else []),
        )
    if found.models:
        console.print(table)
    else:
        console.print(f"None of {found.looked_at} models fits.")
    if found.cursor:
        console.print(f"There are more: add --cursor {escape(found.cursor)}", soft_wrap=True)


def _show_model(view: ModelView, console: Console) -> None:
    _show_problem(view.problem, console)
    console.print(f"[bold]{escape(view.model.repo_id)}[/]")
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for label, value in _facts(view):
        facts.add_row(label, escape(value))
    if view.is_model:
        for fit in view.fits.all:
            facts.add_row(fit.purpose, _fit_line(fit))
    console.print(facts)
    for problem in view.facts.problems.values():
        _show_problem(problem, console)
    if view.is_model:
        console.print(f"[dim]Download it:[/] mlx-hub pull {escape(view.model.repo_id)}")
    else:
        console.print(escape(view.why_no_model), soft_wrap=True)


def _facts(view: ModelView) -> Iterator[tuple[str, str]]:
    from apps.models.sizes import readable
    from apps.system.templatetags.shell import scaled

    model = view.model
    known: dict[str, Any] = {
        "Parameters": scaled(view.parameters) if view.parameters else "",
        "Weights": model.quantization,
        "Architecture": view.architecture,
        "Context": f"{view.context_length:,} tokens" if view.context_length else "",
        "Download": readable(view.download_bytes) if view.is_model else "",
        "Licence": model.license or "not stated",
        "Access": "gated" if model.is_gated else "",
        "Task": model.task,
        "Made from": ", ".join(model.base_models),
        "Downloads": f"{model.downloads:,} in 30 days",
        "Updated": f"{model.updated_at:%Y-%m-%d}" if model.updated_at else "",
        "Commit": view.facts.repository.commit,
    }
    yield from ((label, value) for label, value in known.items() if value)


def _fit_line(fit: Fit) -> str:
    from apps.models.fit import memory_size

    if fit.reason:
        return f"{_verdict(fit)}: {escape(fit.reason)}"
    return (
        f"{_verdict(fit)}: needs {memory_size(fit.needed_bytes)} of {memory_size(fit.free_bytes)}"
    )


def _verdict(fit: Fit) -> str:
    style = _VERDICTS.get(fit.verdict)
    return f"[{style}]{fit.word}[/]" if style else fit.word


def _show_problem(problem: str, console: Console) -> None:
    if problem:
        console.print(f"[yellow]{escape(problem)}[/]", soft_wrap=True)
