"""Texts that break servers, over HTTP and a real engine: each gets the documented answer, and
the next request is unharmed.

The model is tiny and its weights are random, so schemas and patterns say what it writes. Its
tokens are bytes: every character outside ASCII, every stop string and every marker comes in
pieces, each an event of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from apps.inference.client import EngineClient
from apps.inference.tests.conftest import Answer, Caller
from apps.inference.tests.real_engine import CONTEXT, home, real_engine, real_hub
from tests.hub_process import until

__all__ = ["home", "real_engine", "real_hub"]

AROUND = 3
"""Tokens of the template around a conversation of one message."""

END = "<|end|>"

CLUSTERS = "👩‍👩‍👧‍👦 🇳🇴 é 日本 ก็ Z̤͔͑ 🫱🏽‍🫲🏻"
"""Characters of several code points, of up to four bytes each; the é is an e with an accent."""

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 5}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]

Body = dict[str, Any]


# --- dialects -----------------------------------------------------------------


@dataclass(frozen=True)
class Dialect:
    """How one API asks, and where its answers have what these tests look at."""

    path: str
    messages: str
    """The field with the conversation."""
    most: str
    """The field with the limit of tokens."""
    fixed: Callable[[str], Body]
    """Fields that make an answer this text, as JSON."""
    text: Callable[[Any], str]
    ended: Callable[[Any], str]
    length: str
    """How an answer ends that reaches the context's end."""
    piece: Callable[[Any], str | None]
    """The text of one event of a stream."""
    prompt_tokens: Callable[[Any], int]

    def body(self, *contents: str, most: int = 8, **fields: Any) -> Body:
        roles = cycle(("user", "assistant"))
        said = [{"role": next(roles), "content": each} for each in contents]
        return {"model": "tiny", self.messages: said, self.most: most, "temperature": 0} | fields


def _schema(text: str) -> Body:
    return {"type": "json_schema", "name": "fixed", "schema": {"const": text}}


def _chat_fixed(text: str) -> Body:
    form = {"name": "fixed", "schema": {"const": text}}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _messages_fixed(text: str) -> Body:
    form = {"type": "json_schema", "schema": {"const": text}}
    return {"output_config": {"format": form}}


DIALECTS = {
    "chat": Dialect(
        path="/v1/chat/completions",
        messages="messages",
        most="max_tokens",
        fixed=_chat_fixed,
        text=lambda answer: answer["choices"][0]["message"]["content"] or "",
        ended=lambda answer: answer["choices"][0]["finish_reason"],
        length="length",
        piece=lambda event: (event.get("choices") or [{"delta": {}}])[0]["delta"].get("content"),
        prompt_tokens=lambda answer: answer["usage"]["prompt_tokens"],
    ),
    "messages": Dialect(
        path="/v1/messages",
        messages="messages",
        most="max_tokens",
        fixed=_messages_fixed,
        text=lambda answer: "".join(block["text"] for block in answer["content"]),
        ended=lambda answer: answer["stop_reason"],
        length="model_context_window_exceeded",
        piece=lambda event: event.get("delta", {}).get("text"),
        prompt_tokens=lambda answer: (
            answer["usage"]["input_tokens"]
            + answer["usage"]["cache_read_input_tokens"]
            + answer["usage"]["cache_creation_input_tokens"]
        ),
    ),
    "responses": Dialect(
        path="/v1/responses",
        messages="input",
        most="max_output_tokens",
        fixed=lambda text: {"text": {"format": _schema(text)}},
        text=lambda answer: "".join(
            part["text"] for item in answer["output"] for part in item["content"]
        ),
        ended=lambda answer: answer["status"],
        length="incomplete",
        piece=lambda event: (
            event["delta"] if event["type"] == "response.output_text.delta" else None
        ),
        prompt_tokens=lambda answer: answer["usage"]["input_tokens"],
    ),
}


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return DIALECTS[request.param]


# --- asking -------------------------------------------------------------------


@pytest.fixture
def ask(real_hub: EngineClient, call: Caller) -> Iterator[Any]:
    """Posts a body. Before the test and after it, a plain request gets the same answer."""

    def post(dialect: Dialect, body: Body) -> Answer:
        return call("POST", dialect.path, body)

    chat = DIALECTS["chat"]
    plain = chat.body("How are you?", most=20)
    before = chat.text(post(chat, plain).json)
    yield post
    assert chat.text(post(chat, plain).json) == before
    until(lambda: (status := real_hub.status()).active == status.queued == 0)


def message_of(answer: Answer) -> str:
    """What an error says; it has to be one in its dialect's shape."""
    assert answer.status >= 400, answer.content
    return str(answer.error["message"])


# --- characters and stop strings over several tokens --------------------------


def test_characters_of_many_tokens_arrive_whole(ask: Any, dialect: Dialect) -> None:
    body = dialect.body("Hi", most=300, **dialect.fixed(CLUSTERS))
    assert json.loads(dialect.text(ask(dialect, body).json)) == CLUSTERS

    streamed = ask(dialect, body | {"stream": True})
    pieces = [dialect.piece(event) for event in events_of(streamed)]
    said = [piece for piece in pieces if piece]
    assert "\ufffd" not in "".join(said)
    assert json.loads("".join(said)) == CLUSTERS
    assert len(said) > len(CLUSTERS) // 2


def test_characters_that_a_limit_cuts_in_two_are_left_out(ask: Any, dialect: Dialect) -> None:
    body = dialect.body("Hi", most=4, **dialect.fixed("é日"))
    # A quotation mark, two bytes, and the first of three.
    assert dialect.text(ask(dialect, body).json) == '"é'


@pytest.mark.parametrize("name", ["chat", "messages"])
@pytest.mark.parametrize("stop", ["-STOP-", "🛑", "a🛑b", "é-"])
def test_a_stop_string_over_several_chunks_never_shows(ask: Any, name: str, stop: str) -> None:
    dialect = DIALECTS[name]
    nearly = stop[:-1] + "!"
    field = {"chat": "stop", "messages": "stop_sequences"}[name]
    body = dialect.body(
        "Hi", most=100, **dialect.fixed(f"one {nearly} two {stop} three"), **{field: [stop]}
    )
    whole = ask(dialect, body).json
    assert dialect.text(whole) == f'"one {nearly} two '
    assert dialect.ended(whole) == {"chat": "stop", "messages": "stop_sequence"}[name]

    pieces = [dialect.piece(event) for event in events_of(ask(dialect, body | {"stream": True}))]
    assert "".join(piece or "" for piece in pieces) == f'"one {nearly} two '


def events_of(answer: Answer) -> list[Any]:
    """A stream's events, in order."""
    assert answer.status == 200, answer.content
    lines = re.findall(r"^data: (.*)$", answer.content.decode(), re.MULTILINE)
    return [json.loads(line) for line in lines if line != "[DONE]"]


# --- tool calls that are none -------------------------------------------------


def _token(text: str) -> int:
    """A character's token, or the one that ends an answer."""
    if text == END:
        return 256
    (symbol, _), *_ = ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return sorted(ByteLevel.alphabet()).index(symbol)


@pytest.mark.parametrize(
    ("written", "nudge"),
    [
        ('<tool_call>{"name":"weather","arguments":{"city":}}</tool_call>', "}"),
        ('<tool_call>{"name":"weather","arguments":["Oslo"]}</tool_call>', "["),
        ('<tool_call>{"name":"launch","arguments":{}}</tool_call>', "l"),
        ("<tool_call>weather</tool_call>", "w"),
        ("<tool_call>", END),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_malformed_tool_calls_of_the_model_are_text(
    ask: Any, written: str, nudge: str, stream: bool
) -> None:
    chat = DIALECTS["chat"]
    body = chat.body("Oslo?", most=200, tools=TOOLS, model="roomy", stream=stream)
    # Where it could go on as a call, the model would rather write what is none.
    bias = {_token(nudge): 100, _token(" "): -100, _token("\n"): -100}
    written_so = {"structured_outputs": {"regex": re.escape(written)}, "logit_bias": bias}
    answer = ask(chat, body | written_so)
    if stream:
        events = events_of(answer)
        assert "".join(chat.piece(event) or "" for event in events) == written
        assert events[-1]["choices"][0]["finish_reason"] == "stop"
    else:
        choice = answer.json["choices"][0]
        assert choice["message"]["content"] == written, choice
        assert choice["message"].get("tool_calls") is None
        assert choice["finish_reason"] == "stop"


def test_a_tool_call_that_a_limit_cuts_says_so(ask: Any) -> None:
    chat = DIALECTS["chat"]
    forced = {"tools": TOOLS, "tool_choice": "required", "model": "roomy"}
    choice = ask(chat, chat.body("Oslo?", most=50, **forced)).json["choices"][0]
    assert choice["finish_reason"] == "length"
    (cut,) = choice["message"]["tool_calls"]
    assert cut["function"]["name"] == "weather"


def test_earlier_calls_whose_arguments_are_no_json_are_taken(ask: Any) -> None:
    function = {"name": "weather", "arguments": '{"city": '}
    called = {"id": "call_1", "type": "function", "function": function}
    history = [
        {"role": "user", "content": "Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    chat, responses = DIALECTS["chat"], DIALECTS["responses"]
    assert ask(chat, chat.body(messages=history, model="roomy")).status == 200

    items = [
        {"type": "function_call", "call_id": "call_1", **function},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ]
    assert ask(responses, responses.body(input=items, model="roomy")).status == 200

    # Anthropic's have an object there, so the request itself is wrong.
    messages = DIALECTS["messages"]
    use = {"type": "tool_use", "id": "call_1", "name": "weather", "input": '{"city": '}
    said = [*history[:1], {"role": "assistant", "content": [use]}, *history[:1]]
    refused = ask(messages, messages.body(messages=said))
    assert refused.status == 400
    assert "input" in message_of(refused)


# --- nothing, and far too much ------------------------------------------------


def test_an_empty_message_is_answered(ask: Any, dialect: Dialect) -> None:
    answer = ask(dialect, dialect.body(""))
    assert answer.status == 200
    assert dialect.prompt_tokens(answer.json) == AROUND


def test_no_message_at_all_is_a_400(ask: Any, dialect: Dialect) -> None:
    refused = ask(dialect, dialect.body())
    assert refused.status == 400
    assert dialect.messages in message_of(refused)


def test_a_message_of_a_megabyte_is_longer_than_the_context(ask: Any, dialect: Dialect) -> None:
    refused = ask(dialect, dialect.body("x" * 1_000_000))
    assert refused.status == 400
    assert f"The prompt has {1_000_000 + AROUND} tokens" in message_of(refused)


def test_a_message_beyond_the_bound_is_refused_before_the_engine(
    ask: Any, dialect: Dialect
) -> None:
    refused = ask(dialect, dialect.body("x" * 2_000_001))
    assert refused.status == 400
    assert "2,000,001 characters; at most 2,000,000" in message_of(refused)


def test_ten_thousand_messages_are_refused_by_their_number(ask: Any, dialect: Dialect) -> None:
    refused = ask(dialect, dialect.body(*["x"] * 10_001))
    assert refused.status == 400
    assert "10,001 messages; at most 5,000" in message_of(refused)


def test_as_many_messages_as_are_allowed_are_read(ask: Any, dialect: Dialect) -> None:
    refused = ask(dialect, dialect.body(*["x"] * 4_999))
    assert refused.status == 400
    assert "Shorten the messages" in message_of(refused)


# --- around the context's end -------------------------------------------------


def test_one_token_under_the_context_leaves_one_for_the_answer(ask: Any, dialect: Dialect) -> None:
    answer = ask(dialect, dialect.body("x" * (CONTEXT - AROUND - 1), most=100)).json
    assert dialect.prompt_tokens(answer) == CONTEXT - 1
    assert dialect.ended(answer) == dialect.length


@pytest.mark.parametrize("over", [0, 1])
def test_a_prompt_that_fills_the_context_is_a_400(ask: Any, dialect: Dialect, over: int) -> None:
    refused = ask(dialect, dialect.body("x" * (CONTEXT - AROUND + over)))
    assert refused.status == 400
    said = message_of(refused)
    assert f"The prompt has {CONTEXT + over} tokens; tiny holds at most {CONTEXT}" in said
    assert "Shorten the messages" in said


def test_a_stream_is_refused_with_a_status_too(ask: Any, dialect: Dialect) -> None:
    refused = ask(dialect, dialect.body("x" * CONTEXT, stream=True))
    assert refused.status == 400
    assert "The prompt has" in message_of(refused)
