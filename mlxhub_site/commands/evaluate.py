"""`mlx-hub evaluate`: models and adapters asked the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from mlxhub_site.commands.following import followed, require_no_failure
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import ACTIVE
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import AsJson, console, print_json, text

Detach = Annotated[bool, typer.Option("--detach", help="Leave it to the worker.")]


@for_any_hub
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL[:ADAPTER]...", help="The first is what others are held to."),
    ],
    data: Annotated[str | None, typer.Option(help="A dataset, as NAME or NAME@3.")] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "valid",
    rows: Annotated[int, typer.Option(min=0, help="Rows for perplexity.")] = 100,
    answers: Annotated[int, typer.Option(min=0, help="Rows to answer.")] = 20,
    prompts: Annotated[
        Path | None, typer.Option(help="A file with more prompts, one a line.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer.")] = 256,
    exact: Annotated[bool, typer.Option("--exact", help="Right: as in the data.")] = False,
    regex: Annotated[str, typer.Option(help="Right: the whole answer matches it.")] = "",
    schema: Annotated[
        Path | None, typer.Option(help="Right: valid by the JSON Schema in this file.")
    ] = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Ask models and adapters the same: perplexity, answers, and how many are right."""
    order = {
        "models": models, "data": data, "split": split, "loss_rows": rows,
        "question_rows": answers, "prompts": _lines(prompts), "max_tokens": max_tokens,
        "check": _check(exact, regex, schema),
    }  # fmt: skip
    with hub() as client:
        made = client.post("/api/evaluations", order)
        if not detach:
            made = followed(client, "evaluations", made)
    if as_json:
        print_json(made)
    elif made["state"] in ACTIVE:
        typer.echo(f"evaluation-{made['id']} is queued. `mlx-hub jobs --all` shows it.")
    else:
        console().print(_scores(made))
    require_no_failure(made)


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    return [line for line in _content(path).splitlines() if line.strip()]


def _content(path: Path) -> str:
    """Raises BadUsage."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"{path} can't be read: {error}") from error


def _check(exact: bool, regex: str, schema: Path | None) -> dict[str, str]:
    """Raises BadUsage where several are given."""
    given = [
        *([{"kind": "exact"}] if exact else []),
        *([{"kind": "regex", "text": regex}] if regex else []),
        *([{"kind": "json_schema", "text": _content(schema)}] if schema else []),
    ]
    if len(given) > 1:
        raise BadUsage("Say by one of --exact, --regex and --schema what is right.")
    return given[0] if given else {"kind": "none"}


def _scores(evaluation: dict[str, Any]) -> Table:
    table = Table("Model", box=None, pad_edge=False)
    for heading in ("Perplexity", "Loss", "Rows", "Right"):
        table.add_column(heading, justify="right")
    for score in evaluation["scores"]:
        loss, judged = score["loss"], score["judged"]
        table.add_row(
            text(score["model"]),
            "–" if loss is None else f"{score['perplexity']:.4g}",  # noqa: RUF001
            "–" if loss is None else f"{loss:.4f}",  # noqa: RUF001
            f"{score['rows']:,}",
            f"{score['passed']} of {judged}" if judged else "–",  # noqa: RUF001
        )
    return table
