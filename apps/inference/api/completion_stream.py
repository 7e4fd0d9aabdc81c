"""Text completions on their way out, while they are made."""

from __future__ import annotations

from apps.inference.api import sse
from apps.inference.api.completion_answer import (
    ChoiceInMaking,
    Piece,
    choice_of,
    usage_of_call,
)
from apps.inference.api.completions import CompletionCall
from apps.inference.api.errors import Problem
from apps.inference.api.schemas.chat_completion import CompletionUsage
from apps.inference.api.schemas.completion import Completion, CompletionChoice
from apps.inference.engine.protocol import Event, Prefill, Prompt


class CompletionTeller:
    """The answer as server-sent events: see ``telling.Teller``; ``repeated`` as in ChatTeller."""

    def __init__(self, call: CompletionCall) -> None:
        self.repeated = False
        self._call = call
        self._choices = [ChoiceInMaking(call, index) for index in range(len(call.requests))]

    def heard(self, index: int, event: Event) -> list[bytes]:
        if isinstance(event, Prompt):
            self.repeated = event.repeated
            return [sse.comment(f"prefill {event.cached_tokens}/{event.prompt_tokens}")]
        if isinstance(event, Prefill):
            return [sse.comment(f"prefill {event.done}/{event.total}")]
        choice = self._choices[index]
        piece = choice.hear(event)
        if piece is None and choice.done is None:
            return []
        return [self._chunk([choice_of(index, choice, piece or Piece())])]

    def silence(self) -> list[bytes]:
        return [sse.comment("waiting")]

    async def over(self) -> list[bytes]:
        usage = usage_of_call(self._call, self._choices)
        lines = [sse.data("[DONE]")]
        if self._call.include_usage:
            lines.insert(0, self._chunk([], usage))
        return lines

    def failed(self, problem: Problem) -> list[bytes]:
        return [sse.data(problem.body.model_dump_json())]

    def _chunk(
        self, choices: list[CompletionChoice], usage: CompletionUsage | None = None
    ) -> bytes:
        chunk = Completion(
            id=self._call.id,
            created=self._call.created,
            model=self._call.model,
            choices=choices,
            usage=usage,
        )
        # OpenAI: with the usage asked for, null in every chunk but the last; else left out.
        left_out = None if self._call.include_usage else {"usage"}
        return sse.data(chunk.model_dump_json(exclude=left_out))
