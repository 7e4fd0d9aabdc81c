"""A conversation in the terminal, and what /commands do to it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from mlxhub_site.commands.answering import Message, cautious, require_model
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.outcome import BadUsage, CommandFailed

NUMBERS: dict[str, type[int] | type[float]] = {
    "temperature": float, "top_p": float, "top_k": int, "min_p": float, "max_tokens": int,
    "seed": int, "repetition_penalty": float,
}  # fmt: skip
"""What /set knows. The hub checks the values."""

FENCE = '"""'
"""Opens and closes a question of several lines."""

NOTHING_YET = "Nothing was answered yet."


class Leave(Exception):
    """The chat is to end."""


@dataclass
class Conversation:
    """Turns are pairs of a question and its answer, so that one can't be without the other."""

    model: str
    system: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    stats: bool = False
    turns: list[tuple[str, str]] = field(default_factory=list)

    def add(self, question: str, answer: str) -> None:
        self.turns.append((question, answer))

    @property
    def messages(self) -> list[Message]:
        """As the API takes them."""
        said: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        for question, answer in self.turns:
            said.append({"role": "user", "content": question})
            said.append({"role": "assistant", "content": answer})
        return said

    def asked(self, question: str) -> list[Message]:
        """The messages with one question more."""
        return [*self.messages, {"role": "user", "content": question}]


def obey(client: HubClient, talk: Conversation, typed: str) -> str | None:
    """Do what /typed says; returns a question to ask now, where there is one.

    Raises CommandFailed for what can't be done, and Leave.
    """
    word, _, rest = typed.partition(" ")
    command = _COMMANDS.get(word)
    if command is None:
        raise BadUsage(f"There is no {word}. /help lists what there is.")
    return command(client, talk, rest.strip())


def _help(client: HubClient, talk: Conversation, rest: str) -> None:
    """List this."""
    for word, command in _COMMANDS.items():
        typer.echo(f"{word:<9} {command.__doc__}")
    typer.echo(f"{FENCE:<9} Opens and ends a question of several lines.")


def _new(client: HubClient, talk: Conversation, rest: str) -> None:
    """Begin anew, with the same system prompt."""
    talk.turns.clear()
    typer.echo("A new conversation.")


def _system(client: HubClient, talk: Conversation, rest: str) -> None:
    """Set the system prompt: /system TEXT. Without a text there is none."""
    talk.system = rest
    typer.echo("The system prompt is set." if rest else "There is no system prompt.")


def _model(client: HubClient, talk: Conversation, rest: str) -> None:
    """Go on with another model: /model NAME. Without a name, list them."""
    if not rest:
        for each in client.get("/v1/models")["data"]:
            typer.echo(each["id"])
        return
    require_model(client, rest)
    talk.model, talk.settings = rest, cautious(client, rest)
    typer.echo(f"{rest} answers from here on.")


def _set(client: HubClient, talk: Conversation, rest: str) -> None:
    """Set how tokens are chosen: /set temperature 0.7. Without a value, the model's own."""
    name, _, value = rest.partition(" ")
    if name not in NUMBERS:
        raise BadUsage(f"/set knows {', '.join(NUMBERS)}.")
    if not value:
        talk.settings.pop(name, None)
        typer.echo(f"{name} is the model's own.")
        return
    try:
        number = NUMBERS[name](value)
    except ValueError as error:
        raise BadUsage(f"{value!r} is no number for {name}.") from error
    if isinstance(number, float) and not math.isfinite(number):
        raise BadUsage(f"{value!r} is no number for {name}.")
    talk.settings[name] = number
    typer.echo(f"{name} is {value}.")


def _show(client: HubClient, talk: Conversation, rest: str) -> None:
    """Show the model, its settings and the system prompt."""
    typer.echo(f"{talk.model}, {len(talk.turns)} answers")
    for name, value in talk.settings.items():
        typer.echo(f"{name} {value}")
    if talk.system:
        typer.echo(f"System prompt: {talk.system}")


def _retry(client: HubClient, talk: Conversation, rest: str) -> str:
    """Ask the last question again."""
    return _taken_back(talk)


def _undo(client: HubClient, talk: Conversation, rest: str) -> None:
    """Forget the last question and its answer."""
    _taken_back(talk)
    typer.echo("The last question is forgotten.")


def _stats(client: HubClient, talk: Conversation, rest: str) -> None:
    """Show tokens and speed after each answer, or stop it."""
    talk.stats = not talk.stats
    typer.echo(f"Figures are {'on' if talk.stats else 'off'}.")


def _save(client: HubClient, talk: Conversation, rest: str) -> None:
    """Write the conversation to a file, as a row to train on: /save FILE."""
    if not rest:
        raise BadUsage("Say where to: /save FILE.")
    if not talk.turns:
        raise BadUsage(NOTHING_YET)
    row = json.dumps({"messages": talk.messages}, ensure_ascii=False)
    try:
        with Path(rest).expanduser().open("a", encoding="utf-8") as file:
            file.write(row + "\n")
    except OSError as error:
        raise CommandFailed(f"{rest} can't be written: {error.strerror}.") from error
    typer.echo(f"Added to {rest}.")


def _leave(client: HubClient, talk: Conversation, rest: str) -> None:
    """Leave, as Ctrl-D does."""
    raise Leave


def _taken_back(talk: Conversation) -> str:
    if not talk.turns:
        raise BadUsage(NOTHING_YET)
    question, _ = talk.turns.pop()
    return question


_COMMANDS: dict[str, Callable[[HubClient, Conversation, str], str | None]] = {
    "/help": _help, "/new": _new, "/system": _system, "/model": _model, "/set": _set,
    "/show": _show, "/retry": _retry, "/undo": _undo, "/stats": _stats, "/save": _save,
    "/bye": _leave,
}  # fmt: skip
