"""What the times amount to. A sample is one round's value; the figure is their median.

Everything here is stored and exported as JSON, in seconds, bytes and tokens.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, computed_field

from apps.inference.benchmarks.measuring.client import Answer

Turn = Literal["cold", "warm", "repeat", "next_turn"]

TURNS: tuple[Turn, ...] = ("cold", "warm", "repeat", "next_turn")
"""A prompt that is new; its system prompt with another question; that question
again; the conversation's next turn."""


def _rounded(samples: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(sample, 6) for sample in samples)


class _Figure(BaseModel):
    model_config = ConfigDict(frozen=True)


class Samples(_Figure):
    """One figure's values, one for each round and in their order."""

    samples: Annotated[tuple[float, ...], AfterValidator(_rounded)]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def median(self) -> float:
        return statistics.median(self.samples)


class FirstToken(_Figure):
    """Times to first token of one kind of turn, in seconds."""

    turn: Turn
    seconds: Samples
    prompt_tokens: int | None
    """Of the first round."""
    cached_tokens: int | None
    """Of those, what the server took from a cache; None where it does not say."""


class Throughput(_Figure):
    """How fast ``clients`` are answered at once."""

    clients: int
    tokens_per_second: Samples
    """Of all clients together, while every one of them was being answered."""
    first_token: Samples
    """Seconds the slowest client waited for its first token."""
    gap_p50: Samples
    """Seconds between two pieces of one answer, 50th percentile."""
    gap_p95: Samples


class Figures(_Figure):
    """A whole run."""

    first_token: tuple[FirstToken, ...]
    throughput: tuple[Throughput, ...]

    def turn(self, turn: Turn) -> FirstToken | None:
        return next((each for each in self.first_token if each.turn == turn), None)

    def at(self, clients: int) -> Throughput | None:
        return next((each for each in self.throughput if each.clients == clients), None)


def first_token(turn: Turn, answers: Sequence[Answer]) -> FirstToken:
    """The figure of one kind of turn; ``answers`` has one for each round."""
    return FirstToken(
        turn=turn,
        seconds=Samples(samples=tuple(answer.time_to_first_token for answer in answers)),
        prompt_tokens=answers[0].prompt_tokens,
        cached_tokens=answers[0].cached_tokens,
    )


def throughput(clients: int, rounds: Sequence[Sequence[Answer]]) -> Throughput:
    """The figures of one number of clients; ``rounds`` has each round's answers."""
    gaps = [sorted(_gaps(answers)) for answers in rounds]
    return Throughput(
        clients=clients,
        tokens_per_second=Samples(samples=tuple(answers_rate(answers) for answers in rounds)),
        first_token=Samples(
            samples=tuple(max(each.time_to_first_token for each in answers) for answers in rounds)
        ),
        gap_p50=Samples(samples=tuple(percentile(each, 50) for each in gaps)),
        gap_p95=Samples(samples=tuple(percentile(each, 95) for each in gaps)),
    )


def answers_rate(answers: Sequence[Answer]) -> float:
    """Tokens per second over all answers; a piece counts as the tokens that the server tells."""
    pieces = sum(len(answer.token_times) for answer in answers)
    counted = [answer.completion_tokens for answer in answers]
    tokens = sum(count for count in counted if count) if all(counted) else pieces
    return decode_rate([answer.token_times for answer in answers]) * tokens / pieces


def decode_rate(rows: Sequence[Sequence[float]]) -> float:
    """Pieces per second while every row was being answered.

    Where no two rows overlap: from the first piece to the last. 0.0 where there is one piece.
    """
    start = max(times[0] for times in rows)
    end = min(times[-1] for times in rows)
    if end <= start:
        start = min(times[0] for times in rows)
        end = max(times[-1] for times in rows)
    count = sum(1 for times in rows for at in times if start < at <= end)
    return count / (end - start) if end > start else 0.0


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order; 0.0 where there are none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def _gaps(answers: Sequence[Answer]) -> list[float]:
    return [
        later - earlier
        for answer in answers
        for earlier, later in zip(answer.token_times, answer.token_times[1:], strict=False)
    ]
