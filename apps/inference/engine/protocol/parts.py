"""What requests and events are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AdapterSpec(Wire):
    """A LoRA adapter over a model: a folder as mlx-lm writes it."""

    name: str
    path: str
    digest: str


class DraftSpec(Wire):
    """A smaller model of the same vocabulary that proposes tokens for speculative decoding."""

    name: str
    path: str
    digest: str


class ModelSpec(Wire):
    """A model as the engine needs it: the registry stays with the caller."""

    name: str
    path: str
    digest: str
    """Content digest of weights, tokenizer and chat template."""
    ttl_seconds: float | None = Field(default=None, ge=0)
    """Unload it when idle for this long; 0 never, None as the engine is configured."""
    pinned: bool = False
    """Never unloaded to make room, nor when idle."""
    context_limit: int | None = Field(default=None, ge=1)
    """Tokens of context that a call may use; None: all that the model has."""
    draft: DraftSpec | None = None


class ToolCall(Wire):
    """A function that the model called."""

    id: str
    name: str
    arguments: str
    """JSON text; a model may have written it, so it need not be valid."""


class Message(Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str
    reasoning: str = ""
    """What the model thought before an earlier answer of its own."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the assistant called in this turn."""
    tool_call_id: str | None = None
    """Which call a tool message is the result of."""
    name: str | None = None


class CacheMark(Wire):
    """A conversation's beginning that will be asked again: its first messages."""

    messages: int = Field(ge=1)
    characters: int | None = Field(default=None, ge=0)
    """Of the last one's content; None: the whole message."""


class Tool(Wire):
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: str = '{"type": "object", "properties": {}}'
    """JSON Schema of its arguments, as JSON text."""
    strict: bool = False
    """Refuse what of the schema can't be enforced, rather than leave it out."""


class ToolChoice(Wire):
    """Whether the model may, must or must not call tools; ``name`` forces one of them."""

    mode: Literal["none", "auto", "required"] = "auto"
    name: str | None = None
    parallel: bool = True
    """Whether it may call several in one turn."""


class Grammar(Wire):
    """What an answer must look like, enforced token by token."""

    kind: Literal["json_schema", "regex", "lark"]
    text: str
    """A JSON Schema as JSON, a regular expression, or a grammar in llguidance's Lark dialect."""


class Sampling(Wire):
    """How tokens are chosen. ``temperature`` 0 is greedy; ``top_k`` 0 is off.

    Penalties look at the tokens of the prompt and the answer (repetition) or of the
    answer alone (presence, frequency), as vLLM and OpenAI define them.
    """

    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0.0, le=1.0)
    seed: int | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    """None: up to what the context still holds."""
    stop: tuple[str, ...] = ()
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=10.0)
    presence_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    frequency_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    logit_bias: dict[int, float] = {}
    """Added to the logits of these token ids."""
    logprobs: int | None = Field(default=None, ge=0, le=20)
    """Report each token's log probability and those of this many likeliest ones; None: don't."""
    grammar: Grammar | None = None
