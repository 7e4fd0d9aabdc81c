"""`mlx-hub chat`: a conversation in the terminal, through the engine client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from apps.inference.client import EngineClient, EngineError
from apps.inference.engine import protocol

if TYPE_CHECKING:  # the registry needs Django, which the command line sets up late
    from apps.inference.services import NamedModel

SAMPLING = {"temperature": 0.3, "top_p": 0.9, "max_tokens": 1024}
"""Where the model has no defaults of its own. As cautious as the playground's defaults: a small model wanders when it is hot."""


def converse(client: EngineClient, model: NamedModel, *, system_prompt: str) -> None:
    """Ask and answer until the input ends. Ctrl-C stops an answer, or leaves at the prompt."""
    messages: list[protocol.Message] = []
    if opening := system_prompt or model.model.system_prompt:
        messages.append(protocol.Message(role="system", content=opening))
    typer.echo(f"{model.name}. Ctrl-C stops an answer, Ctrl-D leaves.")
    while (question := _ask()) is not None:
        if not question.strip():
            continue
        asked = [*messages, protocol.Message(role="user", content=question)]
        # A question without an answer is forgotten, so that it can be asked again.
        if answer := _answer(client, model, asked):
            messages = [*asked, protocol.Message(role="assistant", content=answer)]


def _ask() -> str | None:
    try:
        return input("> ")
    except (EOFError, KeyboardInterrupt):
        typer.echo()
        return None


def _answer(client: EngineClient, model: NamedModel, messages: list[protocol.Message]) -> str:
    """Print the answer as it comes; returns what came, also where Ctrl-C cut it short."""
    request = protocol.Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        messages=tuple(messages),
        sampling=protocol.Sampling.model_validate(SAMPLING | model.model.sampling),
        client="cli",
    )
    text, thinking = "", False
    try:
        with client.stream(request) as events:
            for event in events:
                if isinstance(event, protocol.Loading):
                    typer.echo(f"Loading {event.model}", err=True)
                elif isinstance(event, protocol.Reasoning):
                    typer.secho(event.text, dim=True, nl=False)
                    thinking = True
                elif isinstance(event, protocol.Delta):
                    if thinking:
                        typer.echo("\n")
                        thinking = False
                    text += event.text
                    typer.echo(event.text, nl=False)
    except KeyboardInterrupt:
        typer.echo(" (stopped)", nl=False)
    except EngineError as error:
        typer.echo(f"Error: {error.message}", err=True)
    typer.echo()
    return text
