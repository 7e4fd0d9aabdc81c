"""`mlx-hub chat`: a conversation in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlxhub_site.commands.answering import (
    Interrupted,
    cautious,
    default_model,
    print_answer,
    require_model,
)
from mlxhub_site.commands.conversation import Conversation, Leave, obey
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import CommandFailed

FENCE = '"""'
"""Opens and closes a question of several lines."""

HISTORY_LINES = 1000


@for_any_hub
def chat(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL[:ADAPTER]]", help="Default: the first model.")
    ] = None,
    system: Annotated[str, typer.Option(help="A system prompt.")] = "",
    stats: Annotated[
        bool, typer.Option("--stats", help="Tokens and speed of each answer.")
    ] = False,
) -> None:
    """Talk to a model in the terminal. /help lists what can be typed there."""
    with hub() as client:
        model = name or default_model(client)
        require_model(client, model)  # before the first question
        talk = Conversation(model, system=system, settings=cautious(client, model), stats=stats)
        history = None if client.is_remote else _open_history()
        typer.echo(f"{model}. Ctrl-C stops an answer, Ctrl-D leaves, {FENCE} opens and ends lines.")
        try:
            _converse(client, talk)
        finally:
            if history is not None:
                _keep_history(history)


def _converse(client: HubClient, talk: Conversation) -> None:
    while (typed := _ask()) is not None:
        try:
            question = obey(client, talk, typed) if typed.startswith("/") else typed
        except Leave:
            return
        except CommandFailed as error:
            typer.echo(f"Error: {error}", err=True)
            continue
        if question and question.strip():
            _answer(client, talk, question)


def _answer(client: HubClient, talk: Conversation, question: str) -> None:
    """A question without an answer is forgotten, so that it can be asked again."""
    try:
        answer = print_answer(client, talk.model, talk.asked(question), talk.settings)
    except Interrupted as stopped:
        answer = stopped.answer
        typer.echo(" (stopped)", nl=False)
    except CommandFailed as error:
        typer.echo(f"\nError: {error}", err=True)
        return
    typer.echo()
    if answer.text:
        talk.add(question, answer.text)
    if talk.stats and answer.figures:
        typer.echo(answer.figures, err=True)


def _ask() -> str | None:
    """The next question, maybe of several lines; None where the input has ended."""
    try:
        line = input("> ")
        if not line.startswith(FENCE):
            return line
        lines = [line.removeprefix(FENCE)]
        while not lines[-1].endswith(FENCE):
            lines.append(input("… "))
        return "\n".join(lines).removesuffix(FENCE).strip("\n")
    except (EOFError, KeyboardInterrupt):
        typer.echo()
        return None


def _open_history() -> Path | None:
    """Read the lines typed in earlier chats, for the arrow keys; None without a terminal."""
    if not sys.stdin.isatty():
        return None
    import readline

    from django.conf import settings

    path = Path(settings.HUB.data_dir) / "chat_history"
    path.touch(mode=0o600)
    readline.read_history_file(path)
    return path


def _keep_history(path: Path) -> None:
    import readline

    readline.set_history_length(HISTORY_LINES)
    readline.write_history_file(path)
