"""`mlx-hub chat`: a conversation in the terminal."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from mlxhub_site.commands.answering import (
    AnswerStopped,
    cautious,
    default_model,
    print_answer,
    require_model,
)
from mlxhub_site.commands.conversation import FENCE, Conversation, Leave, obey
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import BadUsage, CommandFailed
from mlxhub_site.commands.output import harmless

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
        history = _open_history(client)
        typer.echo(f"{model}. Ctrl-C stops an answer, Ctrl-D leaves, /help lists more.", err=True)
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
            typer.echo(f"Error: {harmless(str(error))}", err=True)
            continue
        if question and question.strip():
            _answer(client, talk, question)


def _answer(client: HubClient, talk: Conversation, question: str) -> None:
    """A question without an answer is forgotten, so that it can be asked again."""
    try:
        answer = print_answer(client, talk.model, talk.asked(question), talk.settings)
    except AnswerStopped as stopped:
        answer = stopped.answer
        typer.echo(" (stopped)", nl=False)
    except CommandFailed as error:
        typer.echo(f"\nError: {harmless(str(error))}", err=True)
        return
    typer.echo()
    if answer.text:
        talk.add(question, answer.text)
    if answer.finish_reason == "length":
        typer.echo("The answer was cut at max_tokens or the model's context.", err=True)
    if talk.stats and answer.figures:
        typer.echo(answer.figures, err=True)


def _ask() -> str | None:
    """The next question, maybe of several lines; None where the input has ended.

    Ctrl-C in a terminal forgets what is being typed. Raises BadUsage for a pipe without sense.
    """
    watched = _is_terminal()
    try:
        return _typed(watched)
    except EOFError:
        if watched:
            typer.echo()
        return None
    except KeyboardInterrupt:
        if not watched:
            raise
        typer.echo("\nCtrl-D or /bye leaves.", err=True)
        return ""
    except UnicodeDecodeError as error:
        if not watched:
            raise BadUsage(f"What was piped in is no text in UTF-8: {error.reason}.") from error
        typer.echo(f"That is no text in UTF-8: {error.reason}.", err=True)
        return ""


def _typed(watched: bool) -> str:
    """Raises EOFError."""
    line = input("> " if watched else "")
    if not line.startswith(FENCE):
        return line
    lines = [line.removeprefix(FENCE)]
    while not lines[-1].endswith(FENCE):
        try:
            lines.append(input("… " if watched else ""))
        except EOFError:
            if watched:
                raise
            raise BadUsage(f"The {FENCE} that opens lines is not closed by another one.") from None
    return "\n".join(lines).removesuffix(FENCE).strip("\n")


def _is_terminal() -> bool:
    """Whether somebody types."""
    return sys.stdin is not None and sys.stdin.isatty()


def _open_history(client: HubClient) -> Path | None:
    """Read the lines typed in earlier chats, for the arrow keys.

    None without a terminal, and with another hub, whose chats leave nothing on this machine.
    """
    if not _is_terminal():
        return None
    import readline  # which gives input() its line editing, too

    if client.is_remote:
        return None
    from django.conf import settings

    path = Path(settings.HUB.data_dir) / "chat_history"
    # A comfort, for which no chat fails. Apple's libedit does not read every file of readline's.
    with suppress(OSError):
        readline.read_history_file(path)
    return path


def _keep_history(path: Path) -> None:
    import readline

    readline.set_history_length(HISTORY_LINES)
    with suppress(OSError):
        path.touch(mode=0o600)
        readline.write_history_file(path)
