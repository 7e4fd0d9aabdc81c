"""One answer of a model, printed as it comes: for `mlx-hub chat` and `mlx-hub run`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import typer
from rich.status import Status

from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.outcome import Interrupted, NotFound, Refused
from mlxhub_site.commands.output import console, harmless
from mlxhub_site.commands.registry import model_path

CAUTIOUS = {"temperature": 0.3, "top_p": 0.9}
"""Where neither the model nor its authors say better: a small model wanders when it is hot."""

Message = dict[str, str]


@dataclass
class Answer:
    """What came, also where it was cut short. ``timings`` are the hub's, in seconds."""

    text: str = ""
    thought: str = ""
    finish_reason: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, Any] = field(default_factory=dict)

    @property
    def figures(self) -> str:
        """Tokens and speed in one line; empty where the hub did not tell."""
        if not self.usage:
            return ""
        cached = (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        first = self.timings.get("time_to_first_token")
        speed = self.timings.get("tokens_per_second")
        said = [
            f"{self.usage['prompt_tokens']:,} prompt tokens ({cached:,} cached)",
            f"{self.usage['completion_tokens']:,} tokens",
        ]
        if first is not None:
            said.append(f"first after {first:.2f} s")
        if speed:
            said.append(f"{speed:.1f} tokens/s")
        return ", ".join(said)


def default_model(client: HubClient) -> str:
    """The model that the hub got first, of those that write. Raises NotFound."""
    writing = [
        model
        for model in client.get("/v1/models")["data"]
        if not model["parent"] and {"chat", "completions"} & set(model["capabilities"])
    ]
    if not writing:
        raise NotFound("There is no model on this hub yet. Get one with `mlx-hub pull NAME`.")
    return str(min(writing, key=lambda model: model["created"])["id"])


def require_model(client: HubClient, name: str) -> None:
    """Raises NotFound, with the names that there are."""
    client.get(f"/v1/models/{quote(name, safe='/:')}")


def cautious(client: HubClient, model: str) -> dict[str, float]:
    """Sampling for a model that has no defaults of its own; empty where it has, or can't be asked."""
    try:
        detail = client.get(model_path(client, model.partition(":")[0]))
    except Refused:
        return {}  # a key for inference alone: the hub's defaults hold
    own = detail["recommended"] or detail["defaults"]["temperature"] is not None
    return {} if own else CAUTIOUS


def print_answer(
    client: HubClient, model: str, messages: list[Message], settings: dict[str, Any]
) -> Answer:
    """Ask, and print the answer as it comes. Raises CommandFailed.

    KeyboardInterrupt ends the answer in the hub too; ``AnswerStopped`` then has what came.
    """
    body = {
        "model": model, "messages": messages, "stream": True,
        "stream_options": {"include_usage": True}, **settings,
    }  # fmt: skip
    answer, printer = Answer(), _Printer()
    try:
        printer.wait()
        with client.events("/v1/chat/completions", body, on_comment=printer.say) as events:
            for event in events:
                _take(answer, printer, event)
    except KeyboardInterrupt:
        raise AnswerStopped(answer) from None
    finally:
        printer.settle()  # also where Ctrl-C came while it began to wait
    return answer


class AnswerStopped(Interrupted):
    """Ctrl-C cut an answer short."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("The answer was stopped.")
        self.answer = answer


def _take(answer: Answer, printer: _Printer, event: dict[str, Any]) -> None:
    answer.usage = event.get("usage") or answer.usage
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        if thought := delta.get("reasoning_content"):
            answer.thought += thought
            printer.thinks(thought)
        if piece := delta.get("content"):
            answer.text += piece
            printer.writes(piece)
        answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
        answer.timings = choice.get("timings") or answer.timings


class _Printer:
    """The answer on standard output; what the model thinks and the hub does beside it, dim.

    What is beside is for a terminal alone, on standard error: a pipe gets the answer.
    """

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._watched = self._console.is_terminal
        self._plain = not sys.stdout.isatty()
        self._status: Status | None = None
        self._thinking = False

    def wait(self) -> None:
        """Show that nothing has come yet, until ``settle`` or the first word."""
        if self._watched:
            self._status = self._console.status("Waiting for the model")
            self._status.start()

    def say(self, comment: str) -> None:
        if self._status is not None and comment.startswith("prefill "):
            self._status.update(f"Reading the prompt, {comment.removeprefix('prefill ')} tokens")

    def thinks(self, piece: str) -> None:
        self.settle()
        if self._watched:
            self._console.print(harmless(piece), end="", style="dim", markup=False)
            self._thinking = True

    def writes(self, piece: str) -> None:
        self.settle()
        if self._thinking:
            self._console.print("\n")
            self._thinking = False
        typer.echo(piece if self._plain else harmless(piece), nl=False)
        sys.stdout.flush()

    def settle(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
