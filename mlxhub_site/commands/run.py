"""`mlx-hub run`: one question, one answer, for the shell and its pipes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlxhub_site.commands.answering import (
    AnswerStopped,
    Message,
    cautious,
    default_model,
    print_answer,
)
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import BadUsage, ExitCode
from mlxhub_site.commands.output import print_json

Temperature = Annotated[float | None, typer.Option(min=0, max=2, help="Default: the model's.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Of the answer.")]


@for_any_hub
def run(
    name: Annotated[
        str, typer.Argument(metavar="MODEL[:ADAPTER]", help="A dash: the hub's first model.")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[PROMPT]...", help="What is asked.")
    ] = None,
    system: Annotated[str, typer.Option(help="A system prompt.")] = "",
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    seed: Annotated[int | None, typer.Option(help="The same answer again.")] = None,
    schema: Annotated[
        Path | None, typer.Option(help="A file with the JSON Schema of the answer.")
    ] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Tokens and speed, at the end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The API's whole answer as JSON.")
    ] = False,
) -> None:
    """Ask a model once. What is piped in follows the prompt: `cat x | mlx-hub run M "Sum up"`."""
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": _prompt(words or [])})
    chosen: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    given = {key: value for key, value in chosen.items() if value is not None}
    if schema is not None:
        given["response_format"] = _format_of(schema)
    with hub() as client:
        model = default_model(client) if name == "-" else name
        settings = cautious(client, model) | given
        if as_json:
            body = {"model": model, "messages": messages} | settings
            print_json(client.post("/v1/chat/completions", body))
            return
        try:
            answer = print_answer(client, model, messages, settings)
        except AnswerStopped:
            typer.echo()
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    if not answer.text.endswith("\n"):
        typer.echo()
    if answer.finish_reason == "length":
        typer.echo("The answer was cut at --max-tokens or the model's context.", err=True)
    if stats:
        typer.echo(answer.figures, err=True)


def _prompt(words: list[str]) -> str:
    """The words, then what is piped in. Raises BadUsage where there is neither."""
    piped = ""
    if sys.stdin is not None and not sys.stdin.isatty():  # None: started without one
        try:
            piped = sys.stdin.read()
        except UnicodeDecodeError as error:
            raise BadUsage(
                f"What was piped in is no text in UTF-8: {error.reason} at byte {error.start}."
            ) from error
    prompt = "\n\n".join(part for part in (" ".join(words), piped.strip()) if part)
    if not prompt:
        raise BadUsage(
            'There is nothing to ask. Write it: `mlx-hub run MODEL "…"`, or pipe it in. '
            "`mlx-hub chat MODEL` opens a conversation."
        )
    return prompt


def _format_of(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadUsage(f"{path} holds no JSON Schema that can be read: {error}") from error
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
