"""POST /v1/chat/completions, in this process: it works."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.engine.protocol import Generate, Message, Sampling
from apps.inference.tests.chatting import ask
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import reply
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures("tiny", "fake_engine")


def test_the_whole_answer_comes_at_once(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", "is.", prompt_tokens=20, cached_tokens=8))

    answer = ask(call)

    assert answer.status == 200
    assert answer.json["object"] == "chat.completion"
    assert answer.json["model"] == "tiny"
    assert answer.json["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Paris.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
            "timings": {
                "queued": 0.0,
                "time_to_first_token": 0.05,
                "decode": 0.2,
                "tokens_per_second": 20.0,
                "speculation": None,
            },
        }
    ]
    assert answer.json["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 2,
        "total_tokens": 22,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_an_answer_that_hit_its_limit_says_so(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", finish_reason="length"))

    assert ask(call, max_tokens=1).json["choices"][0]["finish_reason"] == "length"


def test_a_stream_has_role_text_finish_reason_and_done(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("Par", "is."))

    answer = ask(call, stream=True)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-cache"
    *chunks, last = answer.data
    assert last == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert all("usage" not in chunk for chunk in chunks)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [choice["delta"] for choice in choices[1:]] == [
        {"content": "Par"},
        {"content": "is."},
        {},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]


def test_usage_comes_last_and_alone_when_asked_for(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Paris.", prompt_tokens=20, cached_tokens=8))

    answer = ask(call, stream=True, stream_options={"include_usage": True})

    *chunks, usage, done = answer.data
    assert done == "[DONE]"
    assert all(chunk["usage"] is None for chunk in chunks)
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 21
    assert usage["usage"]["prompt_tokens_details"] == {"cached_tokens": 8}


def test_prefill_keeps_the_stream_alive_with_comments(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("Paris."))

    assert b"\n\n: prefill 12/12\n\n" in ask(call, stream=True).content


def test_the_engine_is_asked_what_the_caller_asked(call: Caller, fake_engine: FakeEngine) -> None:
    messages = [
        {
            "role": "developer",
            "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": " brief."}],
        },
        {"role": "user", "content": "Hi", "name": "ada"},
        {"role": "assistant", "content": "Hello", "refusal": None, "tool_calls": None},
        {"role": "user", "content": "Bye"},
    ]

    answer = ask(
        call,
        messages=messages,
        temperature=0,
        top_p=0.5,
        top_k=40,
        min_p=0.1,
        seed=7,
        stop=["\n", "END"],
        max_tokens=99,
        max_completion_tokens=5,
        user="ada",
    )

    assert answer.status == 200
    request = fake_engine.wait_for_call(Generate).request
    assert request.model.path == "/models/tiny"
    assert request.messages == (
        Message(role="developer", content="Be brief."),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Hello"),
        Message(role="user", content="Bye"),
    )
    assert request.sampling == Sampling(
        temperature=0.0,
        top_p=0.5,
        top_k=40,
        min_p=0.1,
        seed=7,
        stop=("\n", "END"),
        max_tokens=5,
    )
    assert request.client == "api:ada"


def test_what_is_left_out_or_null_is_left_to_the_engine(
    call: Caller, fake_engine: FakeEngine
) -> None:
    ask(call, temperature=None, top_p=None, stop=None, seed=None, stream=None, max_tokens=None)

    assert fake_engine.wait_for_call(Generate).request.sampling == Sampling()


def test_a_single_stop_string_is_taken(call: Caller, fake_engine: FakeEngine) -> None:
    ask(call, stop="END")

    assert fake_engine.wait_for_call(Generate).request.sampling.stop == ("END",)


def test_top_p_zero_asks_for_the_likeliest_token(call: Caller, fake_engine: FakeEngine) -> None:
    assert ask(call, top_p=0).status == 200
    assert 0 < fake_engine.wait_for_call(Generate).request.sampling.top_p < 0.001


def test_a_repository_id_names_a_model(call: Caller, qwen: LocalModel) -> None:
    assert ask(call, model="acme/Qwen-Test").json["model"] == "qwen"


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "frequency_penalty": 0, "presence_penalty": 0.0},
        {"tools": [], "tool_choice": "none", "response_format": {"type": "text"}},
        {"logit_bias": {}, "modalities": ["text"], "audio": None},
        {"metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
        {"safety_identifier": "x", "prompt_cache_key": "y", "parallel_tool_calls": True},
    ],
)
def test_fields_that_ask_for_nothing_are_taken(call: Caller, fields: dict[str, Any]) -> None:
    assert ask(call, **fields).status == 200
