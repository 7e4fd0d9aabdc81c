"""An answer as a sequence of parts: what was thought, what was said, what was called.

Chat completions keep these three side by side; the Messages and the Responses API tell
them in the order in which the model made them. Both build their answers on this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from apps.inference.api.generation import answers
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    Generate,
    Prompt,
    Reasoning,
    TokenLogprob,
    ToolCallArguments,
    ToolCallStart,
)


@dataclass
class Thought:
    text: str = ""


@dataclass
class Said:
    text: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass
class Called:
    """A call of a tool; ``text`` is its arguments, JSON text so far."""

    id: str
    name: str
    text: str = ""


Part = Thought | Said | Called
_P = TypeVar("_P", Thought, Said)


class Answer:
    """What came of one answer so far."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.prompt: Prompt | None = None
        self.done: Done | None = None

    def hear(self, event: Event) -> None:
        """Take in the answer's next event."""
        match event:
            case Prompt():
                self.prompt = event
            case Reasoning():
                self._going_on(Thought).text += event.text
            case Delta():
                if event.text or event.logprobs:
                    said = self._going_on(Said)
                    said.text += event.text
                    said.logprobs += event.logprobs
            case ToolCallStart():
                self.parts.append(Called(event.id, event.name))
            case ToolCallArguments():
                if isinstance(self.last, Called):
                    self.last.text += event.text
            case Done():
                self.done = event

    @property
    def last(self) -> Part | None:
        """The part that is being made."""
        return self.parts[-1] if self.parts else None

    @property
    def ended(self) -> Done:
        """Its last event. Raises EngineError where there is none."""
        if self.done is None:
            raise unfinished()
        return self.done

    def _going_on(self, kind: type[_P]) -> _P:
        """The last part, where it is of this kind; else a new one."""
        last = self.last
        if not isinstance(last, kind):
            last = kind()
            self.parts.append(last)
        return last


def unfinished() -> EngineError:
    """The engine closed the call before the answer's last event."""
    return EngineError("internal_error", "The engine ended the answer without its result.")


async def whole_answer(engine: AsyncEngineClient, request: Generate) -> Answer:
    """The answer after its last event. Raises EngineError."""
    answer = Answer()
    async with answers(engine, (request,)) as events:
        async for _, event in events:
            answer.hear(event)
    return answer
