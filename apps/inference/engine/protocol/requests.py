"""What a call may ask for, told apart by ``op``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from apps.inference.engine.protocol.parts import (
    AdapterSpec,
    CacheMark,
    Message,
    ModelSpec,
    Sampling,
    Tool,
    ToolChoice,
    Wire,
)


class Asked(Wire):
    """Any request."""

    ids: dict[str, str] = Field(default={}, max_length=8)
    """Whose work it is, for the log: apps.observability.ids. The client fills it in."""


class Generate(Asked):
    """Answer a conversation. Events: Loading*, Prompt, Prefill*, Delta*, Done."""

    op: Literal["generate"] = "generate"
    model: ModelSpec
    messages: tuple[Message, ...] = ()
    """A conversation; empty where ``prompt`` is given."""
    continue_final: bool = False
    """The last message is an answer's beginning: go on from its end. It is not told again."""
    prompt: str | tuple[int, ...] | None = None
    """Text or tokens to go on from, without a chat template."""
    suffix: str | None = None
    """Text that follows the answer; for models that can fill in between it and ``prompt``."""
    score_prompt: bool = False
    """Tell the prompt's tokens too, with ``sampling.logprobs`` how likely each was."""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    template_options: dict[str, JsonValue] = {}
    """More variables for the chat template, such as ``enable_thinking``."""
    sampling: Sampling = Sampling()
    client: str = ""
    """Who is asking, for fair queueing; callers with one name share one turn."""
    adapter: AdapterSpec | None = None
    """Answer with this adapter over the model; other requests need not share it."""
    priority: Literal["interactive", "batch"] = "interactive"
    """Batch work is taken up while no interactive request waits."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """From submission; an answer that is not finished then ends with ``deadline_exceeded``."""
    cache_salt: str = Field(default="", max_length=200)
    """Requests share cached KV and responses only with those of the same salt."""
    cache_mark: CacheMark | None = None
    """Up to where the caller will ask the same again; ``Prompt`` says where that is."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Generate:
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError("Give either messages or a prompt.")
        if self.suffix is not None and not isinstance(self.prompt, str):
            raise ValueError("A suffix goes with a prompt that is text.")
        return self

    @model_validator(mode="after")
    def _goes_on_from_an_answer(self) -> Generate:
        if not self.continue_final:
            return self
        if len(self.messages) < 2 or self.messages[-1].role != "assistant":
            raise ValueError("Only an answer to something can be continued.")
        # Neither can begin in the middle of an answer.
        if self.sampling.grammar is not None or self.tool_choice.mode == "required":
            raise ValueError("A response format or a tool call is asked for with a new answer.")
        return self


class Warm(Asked):
    """Compute a system prompt's KV and keep it. Events: Loading*, Prompt, Prefill*, Warmed.

    It is batch work: it is taken up while no interactive request waits.
    """

    op: Literal["warm"] = "warm"
    model: ModelSpec
    system_prompt: str = Field(min_length=1)
    pinned: bool = False
    adapter: AdapterSpec | None = None
    """Whose KV it is to be; None: the model's own."""


class Tokenize(Asked):
    """The tokens of a text, or of a conversation as its model would read it. Events: Tokens."""

    op: Literal["tokenize"] = "tokenize"
    model: ModelSpec
    text: str | None = None
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    template_options: dict[str, JsonValue] = {}
    add_special_tokens: bool = True
    """For a text; a conversation's template says which ones it has."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Tokenize:
        if bool(self.messages) == (self.text is not None):
            raise ValueError("Give either messages or a text.")
        return self


class Detokenize(Asked):
    """The text of tokens. Events: Text."""

    op: Literal["detokenize"] = "detokenize"
    model: ModelSpec
    tokens: tuple[int, ...]


class Embed(Asked):
    """Vectors of texts, by an embedding model. Events: Loading*, Vectors*, Embedded."""

    op: Literal["embed"] = "embed"
    model: ModelSpec
    inputs: tuple[str | tuple[int, ...], ...] = Field(min_length=1)
    """Texts, or tokens as the model's tokenizer makes them."""
    input_kind: str | None = None
    """What the inputs are ("query", "document"), where the model makes a difference."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Inputs are cut to this length; None: one that is too long is refused."""
    dimensions: int | None = Field(default=None, ge=1)
    """Keep this many of each vector's numbers; None: all."""
    client: str = ""
    """Who is asking; callers take turns."""


class LoadModel(Asked):
    """Load a model's weights. Events: Loading*, ModelReady."""

    op: Literal["load"] = "load"
    model: ModelSpec


class UnloadModel(Asked):
    """Free a model's weights and its live KV. Events: Ok."""

    op: Literal["unload"] = "unload"
    digest: str


class GetStatus(Asked):
    """What the engine is and does now. Events: Status."""

    op: Literal["status"] = "status"


class ResetPeakMemory(Asked):
    """Count ``Status.peak_memory_bytes`` from now on. Events: Ok."""

    op: Literal["memory.reset_peak"] = "memory.reset_peak"


class HoldMemory(Asked):
    """Keep memory of the machine for work outside the engine, while the call is open.

    Events: Held, and then none until the engine ends.
    """

    op: Literal["memory.hold"] = "memory.hold"
    name: str
    """What it is for, in words."""
    bytes: int = Field(ge=0)


class ListCache(Asked):
    """The prompt cache's entries, most recently used first. Events: CacheEntries."""

    op: Literal["cache.list"] = "cache.list"


class GetCacheStats(Asked):
    """Events: CacheStats."""

    op: Literal["cache.stats"] = "cache.stats"


class EvictCache(Asked):
    """Drop one entry, or all where ``entry_id`` is None, from memory and disk. Events: Evicted."""

    op: Literal["cache.evict"] = "cache.evict"
    entry_id: str | None = None


class PinCache(Asked):
    """Keep an entry from eviction, or stop keeping it. Events: Ok."""

    op: Literal["cache.pin"] = "cache.pin"
    entry_id: str
    pinned: bool


Request = Annotated[
    Generate
    | Warm
    | Tokenize
    | Detokenize
    | Embed
    | LoadModel
    | UnloadModel
    | GetStatus
    | ResetPeakMemory
    | HoldMemory
    | ListCache
    | GetCacheStats
    | EvictCache
    | PinCache,
    Field(discriminator="op"),
]
