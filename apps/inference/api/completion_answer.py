"""Text completions on their way out: engine events as OpenAI's answer.

    generation.answers ⇢ events → ChoiceInMaking → Completion

A stream (``completion_stream``) sends at once what a choice says, a whole answer collects it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from apps.inference.api.answer_parts import unfinished
from apps.inference.api.chat_answer import timings_of, usage_of
from apps.inference.api.completion_logprobs import LogprobLists
from apps.inference.api.completions import CompletionCall
from apps.inference.api.generation import answers
from apps.inference.api.schemas.chat_completion import CompletionUsage, PromptTokensDetails
from apps.inference.api.schemas.completion import (
    Completion,
    CompletionChoice,
    CompletionLogprobs,
)
from apps.inference.client import AsyncEngineClient
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    PromptToken,
    PromptTokens,
    TokenLogprob,
    Usage,
)
from apps.inference.usage.tally import current_tally


@dataclass(frozen=True)
class Piece:
    """What a choice says next."""

    text: str = ""
    logprobs: CompletionLogprobs | None = None


class ChoiceInMaking:
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

    def hear(self, event: Event) -> Piece | None:
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

    def _behind_prompt(self, text: str, tokens: tuple[TokenLogprob, ...]) -> Piece | None:
        if not self._continues:
            text, tokens = "", ()
        told: tuple[TokenLogprob | PromptToken, ...] = tokens
        if not self._told_prompt:
            self._told_prompt = True
            text = self._prompt_text() + text
            told = (*self._prompt, *tokens)
        if not text and not told:
            return None
        return Piece(text, self._lists.take(told) if self._lists and told else None)

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
    choices = [ChoiceInMaking(call, index) for index in range(len(call.requests))]
    pieces: list[list[Piece]] = [[] for _ in choices]
    async with answers(engine, call.requests) as events:
        async for index, event in events:
            piece = choices[index].hear(event)
            if piece is not None:
                pieces[index].append(piece)
    usage = usage_of_call(call, choices)
    completion = Completion(
        id=call.id,
        created=call.created,
        model=call.model,
        choices=[
            choice_of(index, choice, _joined(pieces[index], call, index))
            for index, choice in enumerate(choices)
        ],
        usage=usage,
    )
    return completion, all(choice.done and choice.done.repeated for choice in choices)


def _joined(pieces: Sequence[Piece], call: CompletionCall, index: int) -> Piece:
    logprobs = None
    if call.requests[index].sampling.logprobs is not None:
        logprobs = CompletionLogprobs()
        for piece in pieces:
            if piece.logprobs is not None:
                logprobs.tokens += piece.logprobs.tokens
                logprobs.token_logprobs += piece.logprobs.token_logprobs
                logprobs.top_logprobs += piece.logprobs.top_logprobs
                logprobs.text_offset += piece.logprobs.text_offset
    return Piece("".join(piece.text for piece in pieces), logprobs)


def choice_of(index: int, choice: ChoiceInMaking, piece: Piece) -> CompletionChoice:
    """The piece as OpenAI tells it, with the end where it has come."""
    return CompletionChoice(
        text=piece.text,
        index=index,
        logprobs=piece.logprobs,
        finish_reason=choice.finish_reason,
        timings=timings_of(choice.done) if choice.done else None,
    )


def usage_of_call(call: CompletionCall, choices: Sequence[ChoiceInMaking]) -> CompletionUsage:
    """Each prompt counts once, each answer by itself. Raises EngineError."""
    if any(choice.done is None for choice in choices):
        raise unfinished()
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
