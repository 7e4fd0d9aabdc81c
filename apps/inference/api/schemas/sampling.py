"""What a request may say about how tokens are chosen and how it is served, in any of OpenAI's
dialects. Extensions of OpenAI's API say so in their description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from apps.inference.api.schemas.fields import StrictRequest, invalid
from apps.inference.engine.protocol import Grammar, Sampling

MAX_STOPS = 4
MAX_BIASED_TOKENS = 1024

GREEDY_TOP_P = 1e-6
"""OpenAI allows top_p 0; the smallest nucleus there is holds one token."""


def _as_list(stop: Any) -> Any:
    if stop is None:
        return []
    return [stop] if isinstance(stop, str) else stop


def _token_ids(bias: dict[str, float] | None) -> dict[str, float] | None:
    for token, value in (bias or {}).items():
        if not (token.isascii() and token.isdigit()):
            raise invalid(f"{token!r} is no token id. The keys are the ids of tokens.")
        if not -100 <= value <= 100:
            raise invalid(f"The bias of token {token} should be between -100 and 100.")
    return bias


Stop = Annotated[str, Field(min_length=1)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]

Bias = Annotated[float, WithJsonSchema({"type": "number", "minimum": -100, "maximum": 100})]


class SamplingFields(StrictRequest):
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Extension. 0 turns it off."
    )
    min_p: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="Extension."
    )
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    repetition_penalty: float | None = Field(
        default=None,
        gt=0,
        le=10,
        allow_inf_nan=False,
        description="Extension. Above 1 discourages tokens of the prompt and the answer so far.",
    )
    logit_bias: Annotated[dict[str, Bias] | None, AfterValidator(_token_ids)] = Field(
        default=None,
        max_length=MAX_BIASED_TOKENS,
        description="From token id to -100…100.",
        json_schema_extra={"propertyNames": {"pattern": "^[0-9]+$"}},
    )
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    stop: Annotated[
        Stops, BeforeValidator(_as_list, json_schema_input_type=Stop | Stops | None)
    ] = []

    def sampling(
        self, *, max_tokens: int | None, logprobs: int | None, grammar: Grammar | None
    ) -> Sampling:
        """The same for the engine; what is not said here is as the engine has it."""
        given: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": None if self.top_p is None else max(self.top_p, GREEDY_TOP_P),
            "top_k": self.top_k,
            "min_p": self.min_p,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "repetition_penalty": self.repetition_penalty,
        }
        return Sampling(
            **{name: value for name, value in given.items() if value is not None},
            logit_bias={int(token): bias for token, bias in (self.logit_bias or {}).items()},
            seed=self.seed,
            max_tokens=max_tokens,
            stop=tuple(self.stop),
            logprobs=logprobs,
            grammar=grammar,
        )


class ServingFields(StrictRequest):
    priority: Literal["interactive", "batch"] | None = Field(
        default=None,
        description="Extension. Batch work is taken up while no interactive request waits.",
    )
    deadline_seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Extension. An answer that is not finished by then ends with a 504.",
    )
    cache_salt: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Extension. Cached prompts and responses are shared within a salt only.",
    )
