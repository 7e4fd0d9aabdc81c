"""Text completions on their way out: engine events as OpenAI's answer.

    generation.answers ⇢ events → Completion | server-sent chunks

A choice is told by ``_Choice`` either way; a stream sends what it says at once, a
whole answer collects it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from apps.inference.api import sse
from apps.inference.api.chat_answer import KEEP_ALIVE, timings_of, usage_of
from apps.inference.api.completion_logprobs import LogprobLists
from apps.inference.api.completions import CompletionCall
from apps.inference.api.errors import ErrorResponse, internal_problem, problem_of
from apps.inference.api.generation import Numbered, answers
from apps.inference.api.schemas.chat_completion import CompletionUsage, PromptTokensDetails
from apps.inference.api.schemas.completion import (
    Completion,
    CompletionChoice,
    CompletionLogprobs,
)
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    Prefill,
    Prompt,
    PromptToken,
    PromptTokens,
    TokenLogprob,
    Usage,
)
from apps.inference.usage.tally import current_tally

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Piece:
    """What a choice says next."""

    text: str = ""
    logprobs: CompletionLogprobs | None = None


class _Choice:
    """One choice as it is made: the engine's events in, pieces of its text out."""

    def __init__(self, call: CompletionCall, index: int) -> None:
        request = call.requests[index]
        self._given = request.prompt if isinstance(request.prompt, str) else None
        self._echoed = call.echoed[index]
        self._continues = call.continues
        self._told_prompt = False
        self._prompt: list[PromptToken] = []
        self._lists = LogprobLists() if request.sampling.logprobs is not None else None
        self.done: Done | None = None

    def hear(self, event: Event) -> _Piece | None:
        """What this event adds; None where that is nothing."""
        match event:
            case PromptTokens():
                self._prompt += event.tokens
            case Delta():
                return self._behind_prompt(event.text, event.logprobs)
            case Done():
                self.done = event
                return self._behind_prompt("", ())
        return None

    @property
    def finish_reason(self) -> Literal["stop", "length"] | None:
        """None until the choice is whole."""
        if self.done is None:
            return None
        # What was not wanted behind the prompt was cut off.
        stopped = self.done.finish_reason == "stop" and self._continues
        return "stop" if stopped else "length"

    @property
    def usage(self) -> Usage:
        """Of a whole choice."""
        assert self.done is not None
        unwanted = {} if self._continues else {"completion_tokens": 0}
        return self.done.usage.model_copy(update=unwanted)

    def _behind_prompt(self, text: str, tokens: tuple[TokenLogprob, ...]) -> _Piece | None:
        if not self._continues:
            text, tokens = "", ()
        told: tuple[TokenLogprob | PromptToken, ...] = tokens
        if not self._told_prompt:
            self._told_prompt = True
            text = self._prompt_text() + text
            told = (*self._prompt, *tokens)
        if not text and not told:
            return None
        return _Piece(text, self._lists.take(told) if self._lists and told else None)

    def _prompt_text(self) -> str:
        """The prompt as it is echoed; offsets count from where that begins."""
        if self._echoed is not None:
            return self._echoed
        spelled = b"".join(bytes(token.bytes) for token in self._prompt).decode(errors="replace")
        if self._given is None or not spelled.endswith(self._given):
            return spelled
        # What the tokenizer puts before a text is not part of it.
        if self._lists is not None:
            self._lists = LogprobLists(len(self._given) - len(spelled))
        return self._given


async def complete(engine: AsyncEngineClient, call: CompletionCall) -> tuple[Completion, bool]:
    """The whole answer at once, and whether the response cache gave it. Raises EngineError."""
    choices = [_Choice(call, index) for index in range(len(call.requests))]
    pieces: list[list[_Piece]] = [[] for _ in choices]
    async with answers(engine, call.requests) as events:
        async for index, event in events:
            piece = choices[index].hear(event)
            if piece is not None:
                pieces[index].append(piece)
    usage = _usage(call, choices)
    completion = Completion(
        id=call.id,
        created=call.created,
        model=call.model,
        choices=[
            _choice(index, choice, _joined(pieces[index], call, index))
            for index, choice in enumerate(choices)
        ],
        usage=usage,
    )
    return completion, all(choice.done and choice.done.repeated for choice in choices)


def _joined(pieces: Sequence[_Piece], call: CompletionCall, index: int) -> _Piece:
    logprobs = None
    if call.requests[index].sampling.logprobs is not None:
        logprobs = CompletionLogprobs()
        for piece in pieces:
            if piece.logprobs is not None:
                logprobs.tokens += piece.logprobs.tokens
                logprobs.token_logprobs += piece.logprobs.token_logprobs
                logprobs.top_logprobs += piece.logprobs.top_logprobs
                logprobs.text_offset += piece.logprobs.text_offset
    return _Piece("".join(piece.text for piece in pieces), logprobs)


def _choice(index: int, choice: _Choice, piece: _Piece) -> CompletionChoice:
    return CompletionChoice(
        text=piece.text,
        index=index,
        logprobs=piece.logprobs,
        finish_reason=choice.finish_reason,
        timings=timings_of(choice.done) if choice.done else None,
    )


def _usage(call: CompletionCall, choices: Sequence[_Choice]) -> CompletionUsage:
    """Each prompt counts once, each answer by itself. Raises EngineError."""
    if any(choice.done is None for choice in choices):
        raise EngineError("internal_error", "The engine ended the answer without its result.")
    usages = [choice.usage for choice in choices]
    each = [
        usage_of(usages[start : start + call.answers])
        for start in range(0, len(usages), call.answers)
    ]
    prompt = sum(one.prompt_tokens for one in each)
    # The tally knows of answers that share a prompt, not of several prompts.
    longest = max(one.prompt_tokens for one in each)
    current_tally().counted(prompt - longest, model=call.requests[0].model.name)
    return each[0].model_copy(
        update={
            "prompt_tokens": prompt,
            "completion_tokens": sum(one.completion_tokens for one in each),
            "total_tokens": sum(one.total_tokens for one in each),
            "prompt_tokens_details": PromptTokensDetails(
                cached_tokens=sum(one.prompt_tokens_details.cached_tokens for one in each)
            ),
        }
    )


class CompletionStream:
    """The answer as server-sent events; ``repeated`` as in ChatStream."""

    def __init__(self, call: CompletionCall) -> None:
        self.repeated = False
        self._call = call
        self._choices = [_Choice(call, index) for index in range(len(call.requests))]

    async def lines(self, engine: AsyncEngineClient) -> AsyncGenerator[bytes, None]:
        """Raises EngineError before the first bytes only; a later one is sent as an event."""
        begun = False
        try:
            async with (
                answers(engine, self._call.requests) as events,
                aclosing(sse.with_pauses(events, KEEP_ALIVE)) as heard,
            ):
                async for numbered in heard:
                    line = self._heard(numbered)
                    if line is not None:
                        begun = True
                        yield line
            for line in self._last_lines():
                yield line
        except EngineError as error:
            if not begun:
                raise
            yield _error_line(problem_of(error).body)
        except Exception:
            if not begun:
                raise
            logger.exception("A completion stream broke off.")
            yield _error_line(internal_problem().body)

    def _heard(self, numbered: Numbered | None) -> bytes | None:
        """What one engine event, or a silence, becomes on the wire."""
        if numbered is None:
            return sse.comment("waiting")
        index, event = numbered
        if isinstance(event, Prompt):
            self.repeated = event.repeated
            return sse.comment(f"prefill {event.cached_tokens}/{event.prompt_tokens}")
        if isinstance(event, Prefill):
            return sse.comment(f"prefill {event.done}/{event.total}")
        choice = self._choices[index]
        piece = choice.hear(event)
        if piece is None and choice.done is None:
            return None
        return self._chunk([_choice(index, choice, piece or _Piece())])

    def _last_lines(self) -> list[bytes]:
        usage = _usage(self._call, self._choices)
        lines = [sse.data("[DONE]")]
        if self._call.include_usage:
            lines.insert(0, self._chunk([], usage))
        return lines

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


def _error_line(body: ErrorResponse) -> bytes:
    return sse.data(body.model_dump_json())
