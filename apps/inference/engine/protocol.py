"""The engine's wire contract: what a call may say and what comes back.

One connection carries one call. The caller writes one request as a JSON line;
the engine answers with JSON lines, each an event, and closes. A caller that
closes its end cancels the call. There are no request ids and no multiplexing.

Every request and event is a frozen pydantic model, told apart by ``op`` and
``event``. This module imports neither Django nor MLX: both ends share it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Longest request line the engine reads; a longer one is refused unread."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# --- shared parts -----------------------------------------------------------


class AdapterSpec(_Wire):
    """A LoRA adapter over a model: a folder as mlx-lm writes it."""

    name: str
    path: str
    digest: str


class DraftSpec(_Wire):
    """A smaller model of the same vocabulary that proposes tokens for speculative decoding."""

    name: str
    path: str
    digest: str


class ModelSpec(_Wire):
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


class ToolCall(_Wire):
    """A function that the model called."""

    id: str
    name: str
    arguments: str
    """JSON text; a model may have written it, so it need not be valid."""


class Message(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str
    reasoning: str = ""
    """What the model thought before an earlier answer of its own."""
    tool_calls: tuple[ToolCall, ...] = ()
    """What the assistant called in this turn."""
    tool_call_id: str | None = None
    """Which call a tool message is the result of."""
    name: str | None = None


class CacheMark(_Wire):
    """A conversation's beginning that will be asked again: its first messages."""

    messages: int = Field(ge=1)
    characters: int | None = Field(default=None, ge=0)
    """Of the last one's content; None: the whole message."""


class Tool(_Wire):
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: str = '{"type": "object", "properties": {}}'
    """JSON Schema of its arguments, as JSON text."""
    strict: bool = False
    """Refuse what of the schema can't be enforced, rather than leave it out."""


class ToolChoice(_Wire):
    """Whether the model may, must or must not call tools; ``name`` forces one of them."""

    mode: Literal["none", "auto", "required"] = "auto"
    name: str | None = None
    parallel: bool = True
    """Whether it may call several in one turn."""


class Grammar(_Wire):
    """What an answer must look like, enforced token by token."""

    kind: Literal["json_schema", "regex", "lark"]
    text: str
    """A JSON Schema as JSON, a regular expression, or a grammar in llguidance's Lark dialect."""


class Sampling(_Wire):
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


# --- requests ---------------------------------------------------------------


class Generate(_Wire):
    """Answer a conversation. Events: Loading*, Prompt, Prefill*, Delta*, Done."""

    op: Literal["generate"] = "generate"
    model: ModelSpec
    messages: tuple[Message, ...] = ()
    """A conversation; empty where ``prompt`` is given."""
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


class Warm(_Wire):
    """Compute a system prompt's KV and keep it. Events: Loading*, Prompt, Prefill*, Warmed.

    It is batch work: it is taken up while no interactive request waits.
    """

    op: Literal["warm"] = "warm"
    model: ModelSpec
    system_prompt: str = Field(min_length=1)
    pinned: bool = False
    adapter: AdapterSpec | None = None
    """Whose KV it is to be; None: the model's own."""


class Tokenize(_Wire):
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


class Detokenize(_Wire):
    """The text of tokens. Events: Text."""

    op: Literal["detokenize"] = "detokenize"
    model: ModelSpec
    tokens: tuple[int, ...]


class Embed(_Wire):
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


class LoadModel(_Wire):
    """Load a model's weights. Events: Loading*, ModelReady."""

    op: Literal["load"] = "load"
    model: ModelSpec


class UnloadModel(_Wire):
    """Free a model's weights and its live KV. Events: Ok."""

    op: Literal["unload"] = "unload"
    digest: str


class GetStatus(_Wire):
    """What the engine is and does now. Events: Status."""

    op: Literal["status"] = "status"


class ResetPeakMemory(_Wire):
    """Count ``Status.peak_memory_bytes`` from now on. Events: Ok."""

    op: Literal["memory.reset_peak"] = "memory.reset_peak"


class HoldMemory(_Wire):
    """Keep memory of the machine for work outside the engine, while the call is open.

    Events: Held, and then none until the engine ends.
    """

    op: Literal["memory.hold"] = "memory.hold"
    name: str
    """What it is for, in words."""
    bytes: int = Field(ge=0)


class ListCache(_Wire):
    """The prompt cache's entries, most recently used first. Events: CacheEntries."""

    op: Literal["cache.list"] = "cache.list"


class GetCacheStats(_Wire):
    """Events: CacheStats."""

    op: Literal["cache.stats"] = "cache.stats"


class EvictCache(_Wire):
    """Drop one entry, or all where ``entry_id`` is None, from memory and disk. Events: Evicted."""

    op: Literal["cache.evict"] = "cache.evict"
    entry_id: str | None = None


class PinCache(_Wire):
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


# --- events -----------------------------------------------------------------


class Loading(_Wire):
    """The model's weights are being loaded; generation follows."""

    event: Literal["loading"] = "loading"
    model: str
    done_bytes: int = 0
    total_bytes: int = 0
    """Estimated; 0 where it is not known yet."""


class Prompt(_Wire):
    """The prompt is tokenised and admitted: how long it is, how much was cached."""

    event: Literal["prompt"] = "prompt"
    prompt_tokens: int
    cached_tokens: int
    repeated: bool = False
    """Whether the answer that follows comes from the response cache."""
    marked_tokens: int = 0
    """Where the request's ``cache_mark`` is."""


class Prefill(_Wire):
    """Prompt tokens whose KV exists so far, cached ones included."""

    event: Literal["prefill"] = "prefill"
    done: int
    total: int


class TopToken(_Wire):
    """A token that could have been chosen. ``text`` may hold half a character; ``bytes`` has all."""

    text: str
    bytes: tuple[int, ...]
    logprob: float


class TokenLogprob(TopToken):
    """A chosen token, and the likeliest ones at its place, by the model's own distribution."""

    top: tuple[TopToken, ...] = ()


class Delta(_Wire):
    """Text that is final: whole characters, no part of a stop string."""

    event: Literal["delta"] = "delta"
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    """The tokens behind the text, where the request asked for them."""


class Reasoning(_Wire):
    """Text that the model thinks before it answers."""

    event: Literal["reasoning"] = "reasoning"
    text: str


class ToolCallStart(_Wire):
    """A call begins; its arguments follow."""

    event: Literal["tool_call"] = "tool_call"
    index: int
    """From 0, in the order of the calls in this answer."""
    id: str
    name: str


class ToolCallArguments(_Wire):
    """A piece of a call's arguments: JSON text."""

    event: Literal["tool_call_arguments"] = "tool_call_arguments"
    index: int
    text: str


class Usage(_Wire):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int = 0
    """Of the completion."""


class Timings(_Wire):
    """Seconds, measured in the engine."""

    queued: float
    time_to_first_token: float
    decode: float
    tokens_per_second: float
    """Decode rate after the first token; 0.0 where there is no second one."""


class Speculation(_Wire):
    """Tokens that the draft model proposed for an answer, and those of them that held."""

    drafted: int
    accepted: int


class Done(_Wire):
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


class Warmed(_Wire):
    event: Literal["warmed"] = "warmed"
    entry_id: str
    tokens: int
    cached_tokens: int
    seconds: float


class LoadedModel(_Wire):
    name: str
    digest: str
    path: str
    context_length: int
    weights_bytes: int
    live_kv_bytes: int
    loaded_at: float
    """Seconds since the epoch."""
    last_used_at: float
    pinned: bool = False
    unloads_at: float | None = None
    """When it goes if nobody uses it; None: it stays."""
    measured_bytes: int = 0
    """Memory that loading it took."""
    adapters: tuple[str, ...] = ()
    draft: str | None = None
    """The draft model in use; empty where one was asked for and is not used."""
    draft_problem: str = ""
    """Why the draft is not used and what to do."""
    speculation: Speculation | None = None
    """Over all its answers since it was loaded."""


class Tokens(_Wire):
    event: Literal["tokens"] = "tokens"
    tokens: tuple[int, ...]
    strings: tuple[str, ...]
    """Each token as text; where it holds half a character, as the tokenizer writes it."""


class Text(_Wire):
    event: Literal["text"] = "text"
    text: str


class PromptToken(_Wire):
    """A token of the prompt, and what the model expected at its place."""

    text: str
    bytes: tuple[int, ...]
    logprob: float | None = None
    """None for the first token, before which there is nothing."""
    top: tuple[TopToken, ...] = ()


class PromptTokens(_Wire):
    """The next tokens of a prompt, in order; all are told before the answer begins."""

    event: Literal["prompt_tokens"] = "prompt_tokens"
    tokens: tuple[PromptToken, ...]


class Vectors(_Wire):
    """Some of a call's vectors, in whichever order they were computed."""

    event: Literal["vectors"] = "vectors"
    indexes: tuple[int, ...]
    """Of the inputs, from 0."""
    vectors: tuple[str, ...]
    """Little-endian float32 in base64, as OpenAI's API sends them."""


class Embedded(_Wire):
    """All vectors are told."""

    event: Literal["embedded"] = "embedded"
    prompt_tokens: int
    dimensions: int


class ModelReady(_Wire):
    event: Literal["model_ready"] = "model_ready"
    model: LoadedModel
    seconds: float


class Ok(_Wire):
    event: Literal["ok"] = "ok"


class Held(_Wire):
    """The memory is the caller's for as long as it keeps the call open."""

    event: Literal["held"] = "held"
    unloaded: tuple[str, ...] = ()
    """Names of idle models that gave way."""


class HeldMemory(_Wire):
    """Memory that work outside the engine uses."""

    name: str
    bytes: int


class Accelerator(_Wire):
    backend: Literal["metal", "cuda", "cpu"]
    name: str
    blas: str | None
    memory_bytes: int
    memory_ceiling_bytes: int
    warning: str | None = None


class Status(_Wire):
    """``last_step_age`` is None before the first completed step.

    A healthy engine either has nothing to do (``active`` and ``queued`` both 0)
    or a young last step: an open socket alone proves nothing.
    """

    event: Literal["status"] = "status"
    pid: int
    started_at: float
    accelerator: Accelerator
    models: tuple[LoadedModel, ...]
    loading: str | None
    loading_share: float = 0.0
    """How much of the model that is being loaded is there, 0 to 1."""
    active: int
    """Sequences being prefilled or decoded, and calls that wait for vectors."""
    queued: int
    steps: int
    """Completed engine steps."""
    last_step_age: float | None
    """Seconds since the last completed step."""
    loop_age: float
    """Seconds since the engine thread last passed through its loop, idle or not."""
    generated_tokens: int
    active_memory_bytes: int
    peak_memory_bytes: int
    """Since the engine started, or since ``ResetPeakMemory``."""
    held: tuple[HeldMemory, ...] = ()


class CacheEntry(_Wire):
    id: str
    model: str
    model_digest: str
    kind: Literal["system", "conversation"]
    preview: str
    """The first characters of the cached prompt, special tokens left out."""
    tokens: int
    bytes: int
    """KV bytes on the entry's path; spans shared with other entries count in each."""
    hits: int
    pinned: bool
    in_memory: bool
    on_disk: bool
    created_at: float
    last_used_at: float


class CacheEntries(_Wire):
    event: Literal["cache_entries"] = "cache_entries"
    entries: tuple[CacheEntry, ...]


class CacheStats(_Wire):
    event: Literal["cache_stats"] = "cache_stats"
    memory_entries: int
    memory_bytes: int
    max_entries: int
    max_memory_bytes: int
    disk_entries: int
    disk_bytes: int
    max_disk_bytes: int
    total_hits: int
    total_misses: int
    hit_rate: float
    """Hits over look-ups, 0.0 before the first."""
    tokens_reused: int
    tokens_computed: int
    evictions: int
    disk_hits: int
    disk_errors: int
    response_entries: int = 0
    response_bytes: int = 0
    response_max_bytes: int = 0
    """0 where the response cache is off."""
    response_hits: int = 0
    response_misses: int = 0


class Evicted(_Wire):
    event: Literal["evicted"] = "evicted"
    entries: int


ErrorCode = Literal[
    "invalid_request",
    "context_length_exceeded",
    "chat_template_error",
    "model_load_failed",
    "insufficient_memory",
    "model_not_loaded",
    "model_busy",
    "adapter_failed",
    "deadline_exceeded",
    "cache_entry_not_found",
    "queue_full",
    "shutting_down",
    "internal_error",
]


class Failed(_Wire):
    """The call ended without its result; ``message`` says what happened and what to do."""

    event: Literal["error"] = "error"
    code: ErrorCode
    message: str
    retry_after: float | None = None
    """Seconds after which the same call may succeed, where waiting helps."""


Event = Annotated[
    Loading
    | Prompt
    | Prefill
    | Delta
    | Reasoning
    | ToolCallStart
    | ToolCallArguments
    | Done
    | Warmed
    | Tokens
    | Text
    | PromptTokens
    | Vectors
    | Embedded
    | ModelReady
    | Ok
    | Held
    | Status
    | CacheEntries
    | CacheStats
    | Evicted
    | Failed,
    Field(discriminator="event"),
]

LAST_EVENTS = (
    Done,
    Warmed,
    Tokens,
    Text,
    Embedded,
    ModelReady,
    Ok,
    Status,
    CacheEntries,
    CacheStats,
    Evicted,
    Failed,
)
"""Nothing follows one of these; the engine closes the connection after it."""

_requests: TypeAdapter[Request] = TypeAdapter(Request)
_events: TypeAdapter[Event] = TypeAdapter(Event)


def encode(message: BaseModel) -> bytes:
    """One request or event as a JSON line."""
    return message.model_dump_json().encode() + b"\n"


def decode_request(line: bytes) -> Request:
    """Raises pydantic.ValidationError for anything that is not a request."""
    return _requests.validate_json(line)


def decode_event(line: bytes) -> Event:
    """Raises pydantic.ValidationError for anything that is not an event."""
    return _events.validate_json(line)
