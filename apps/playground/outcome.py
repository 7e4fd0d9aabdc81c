"""How an answer went, and how one that was gone on with went altogether."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apps.playground.models import Message


@dataclass
class Outcome:
    """The fields of an answer's Message, the text left out."""

    state: Message.State = Message.State.RUNNING
    error: str = ""
    finish_reason: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    ttft: float | None = None
    tokens_per_second: float | None = None

    @classmethod
    def of(cls, answer: Message) -> Outcome:
        """How ``answer`` has gone so far, as it is stored."""
        return cls(
            state=Message.State(answer.state),
            error=answer.error,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            cached_tokens=answer.cached_tokens,
            completion_tokens=answer.completion_tokens,
            ttft=answer.ttft,
            tokens_per_second=answer.tokens_per_second,
        )

    def after(self, earlier: Outcome) -> Outcome:
        """This, of a call that went on with an answer, as a part of the whole answer.

        The prompt is the one that was asked first, and so is the time to the first token.
        """
        asked = self if earlier.prompt_tokens is None else earlier
        return replace(
            self,
            prompt_tokens=asked.prompt_tokens,
            cached_tokens=asked.cached_tokens,
            completion_tokens=self._written_altogether(earlier),
            ttft=self.ttft if earlier.ttft is None else earlier.ttft,
            tokens_per_second=self._rate_altogether(earlier),
        )

    def _written_altogether(self, earlier: Outcome) -> int | None:
        """Tokens of the whole answer, where they are known.

        A call that was cut short never told how many it wrote. But they are a part of the
        prompt of the call that went on.
        """
        if self.prompt_tokens is None:  # nothing was heard of this call
            return earlier.completion_tokens
        if self.completion_tokens is None:
            return None
        if earlier.completion_tokens is not None:
            return earlier.completion_tokens + self.completion_tokens
        if earlier.prompt_tokens is None:
            return None
        return self.prompt_tokens - earlier.prompt_tokens + self.completion_tokens

    def _rate_altogether(self, earlier: Outcome) -> float | None:
        """All tokens over the time that all took; that of one call, where only one told it."""
        told = [
            (each.completion_tokens, each.tokens_per_second)
            for each in (earlier, self)
            if each.completion_tokens and each.tokens_per_second
        ]
        if not told:
            return None
        return sum(tokens for tokens, _ in told) / sum(tokens / rate for tokens, rate in told)
