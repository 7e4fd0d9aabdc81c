"""Events of calls that a model works on."""

from __future__ import annotations

from typing import Literal

from apps.inference.engine.protocol.parts import Wire


class Loading(Wire):
    """The model's weights are being loaded; generation follows."""

    event: Literal["loading"] = "loading"
    model: str
    done_bytes: int = 0
    total_bytes: int = 0
    """Estimated; 0 where it is not known yet."""


class Prompt(Wire):
    """The prompt is tokenised and admitted: how long it is, how much was cached."""

    event: Literal["prompt"] = "prompt"
    prompt_tokens: int
    cached_tokens: int
    repeated: bool = False
    """Whether the answer that follows comes from the response cache."""
    marked_tokens: int = 0
    """Where the request's ``cache_mark`` is."""


class Prefill(Wire):
    """Prompt tokens whose KV exists so far, cached ones included."""

    event: Literal["prefill"] = "prefill"
    done: int
    total: int


class TopToken(Wire):
    """A token that could have been chosen. ``text`` may hold half a character; ``bytes`` has all."""

    text: str
    bytes: tuple[int, ...]
    logprob: float


class TokenLogprob(TopToken):
    """A chosen token, and the likeliest ones at its place, by the model's own distribution."""

    top: tuple[TopToken, ...] = ()


class Delta(Wire):
    """Text that is final: whole characters, no part of a stop string."""

    event: Literal["delta"] = "delta"
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    """The tokens behind the text, where the request asked for them."""


class Reasoning(Wire):
    """Text that the model thinks before it answers."""

    event: Literal["reasoning"] = "reasoning"
    text: str


class ToolCallStart(Wire):
    """A call begins; its arguments follow."""

    event: Literal["tool_call"] = "tool_call"
    index: int
    """From 0, in the order of the calls in this answer."""
    id: str
    name: str


class ToolCallArguments(Wire):
    """A piece of a call's arguments: JSON text."""

    event: Literal["tool_call_arguments"] = "tool_call_arguments"
    index: int
    text: str


class Usage(Wire):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int = 0
    """Of the completion."""


class Timings(Wire):
    """Seconds, measured in the engine."""

    queued: float
    time_to_first_token: float
    decode: float
    tokens_per_second: float
    """Decode rate after the first token; 0.0 where there is no second one."""


class Speculation(Wire):
    """Tokens that the draft model proposed for an answer, and those of them that held."""

    drafted: int
    accepted: int


class Done(Wire):
    event: Literal["done"] = "done"
    finish_reason: Literal["stop", "length", "tool_calls"]
    stop_string: str | None = None
    """The stop string that ended it, if one did."""
    usage: Usage
    timings: Timings
    speculation: Speculation | None = None
    """None where no draft model took part."""
    repeated: bool = False
    """Whether the whole answer came from the response cache."""


class Warmed(Wire):
    event: Literal["warmed"] = "warmed"
    entry_id: str
    tokens: int
    cached_tokens: int
    seconds: float


class Tokens(Wire):
    event: Literal["tokens"] = "tokens"
    tokens: tuple[int, ...]
    strings: tuple[str, ...]
    """Each token as text; where it holds half a character, as the tokenizer writes it."""


class Text(Wire):
    event: Literal["text"] = "text"
    text: str


class PromptToken(Wire):
    """A token of the prompt, and what the model expected at its place."""

    text: str
    bytes: tuple[int, ...]
    logprob: float | None = None
    """None for the first token, before which there is nothing."""
    top: tuple[TopToken, ...] = ()


class PromptTokens(Wire):
    """The next tokens of a prompt, in order; all are told before the answer begins."""

    event: Literal["prompt_tokens"] = "prompt_tokens"
    tokens: tuple[PromptToken, ...]


class Vectors(Wire):
    """Some of a call's vectors, in whichever order they were computed."""

    event: Literal["vectors"] = "vectors"
    indexes: tuple[int, ...]
    """Of the inputs, from 0."""
    vectors: tuple[str, ...]
    """Little-endian float32 in base64, as OpenAI's API sends them."""


class Embedded(Wire):
    """All vectors are told."""

    event: Literal["embedded"] = "embedded"
    prompt_tokens: int
    dimensions: int
