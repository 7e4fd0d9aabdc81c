"""POST /v1/chat/completions: penalties, log probabilities, structure, several answers, adapters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.inference.engine.protocol import (
    AdapterSpec,
    Delta,
    Done,
    Generate,
    Prompt,
    Sampling,
    Speculation,
    Timings,
    TokenLogprob,
    TopToken,
    Usage,
)
from apps.inference.tests.chatting import ask
from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import Adapter, LocalModel
from tests.engine_scripts import Hang, failure, reply
from tests.fake_engine import FakeEngine

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(autouse=True)
def _cast(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    pass


def asked(fake_engine: FakeEngine, number: int = 1) -> Generate:
    request: Generate = fake_engine.wait_for_call(Generate, number).request
    return request


# --- how tokens are chosen ----------------------------------------------------


def test_penalties_and_biases_reach_the_engine(call: Caller, fake_engine: FakeEngine) -> None:
    ask(
        call,
        presence_penalty=0.5,
        frequency_penalty=-1,
        repetition_penalty=1.2,
        logit_bias={"42": -100, "7": 1.5},
    )

    assert asked(fake_engine).sampling == Sampling(
        presence_penalty=0.5,
        frequency_penalty=-1.0,
        repetition_penalty=1.2,
        logit_bias={42: -100.0, 7: 1.5},
    )


# --- log probabilities --------------------------------------------------------

PAR = TokenLogprob(
    text="Par",
    bytes=(80, 97, 114),
    logprob=-0.5,
    top=(
        TopToken(text="Par", bytes=(80, 97, 114), logprob=-0.5),
        TopToken(text="\ufffd", bytes=(0xE2,), logprob=-20_000.0),
    ),
)
TOLD = {
    "token": "Par",
    "bytes": [80, 97, 114],
    "logprob": -0.5,
    "top_logprobs": [
        {"token": "Par", "bytes": [80, 97, 114], "logprob": -0.5},
        {"token": "\ufffd", "bytes": [0xE2], "logprob": -9999.0},
    ],
}


def scored(*, speculation: Speculation | None = None, repeated: bool = False) -> list[Any]:
    """An answer of one token, with its log probability."""
    timings = Timings(queued=0.0, time_to_first_token=0.1, decode=0.0, tokens_per_second=0.0)
    return [
        Prompt(prompt_tokens=5, cached_tokens=0, repeated=repeated),
        Delta(text="Par", logprobs=(PAR,)),
        Done(
            finish_reason="length",
            usage=Usage(prompt_tokens=5, completion_tokens=1, cached_tokens=0),
            timings=timings,
            speculation=speculation,
            repeated=repeated,
        ),
    ]


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, None),
        ({"logprobs": False, "top_logprobs": 0}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 2}, 2),
    ],
)
def test_the_engine_is_asked_for_as_many_as_wanted(
    call: Caller, fake_engine: FakeEngine, fields: dict[str, Any], count: int | None
) -> None:
    ask(call, **fields)

    assert asked(fake_engine).sampling.logprobs == count


def test_log_probabilities_come_in_openais_shape(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *scored())

    choice = ask(call, logprobs=True, top_logprobs=2).json["choices"][0]

    assert choice["logprobs"] == {"content": [TOLD], "refusal": None}


def test_an_answer_without_a_word_has_an_empty_list(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply())

    choice = ask(call, logprobs=True).json["choices"][0]

    assert choice["logprobs"] == {"content": [], "refusal": None}


def test_a_stream_tells_each_tokens_log_probability(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *scored())

    role, text, end, _ = ask(call, stream=True, logprobs=True, top_logprobs=2).data

    assert role["choices"][0]["logprobs"] is None
    assert text["choices"][0]["logprobs"] == {"content": [TOLD], "refusal": None}
    assert end["choices"][0]["logprobs"] is None


# --- structure ------------------------------------------------------------------


def json_schema(**fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "place"} | fields}


@pytest.mark.parametrize(
    ("response_format", "schema"),
    [
        ({"type": "json_object"}, {"type": "object"}),
        (json_schema(), {"type": "object"}),
        (json_schema(schema=SCHEMA), SCHEMA),
        (json_schema(schema=SCHEMA, strict=False, description="A place."), SCHEMA),
        (json_schema(schema=SCHEMA, strict=True), SCHEMA),
    ],
)
def test_a_response_format_is_enforced(
    call: Caller, fake_engine: FakeEngine, response_format: Any, schema: Any
) -> None:
    assert ask(call, response_format=response_format).status == 200

    grammar = asked(fake_engine).sampling.grammar
    assert grammar is not None
    assert grammar.kind == "json_schema"
    assert json.loads(grammar.text) == schema


@pytest.mark.parametrize(
    ("outputs", "kind", "text"),
    [
        ({"json": {"type": "integer"}}, "json_schema", '{"type":"integer"}'),
        ({"json": '{"type": "integer"}'}, "json_schema", '{"type":"integer"}'),
        ({"regex": r"\d+"}, "regex", r"\d+"),
        ({"choice": ["yes", 'a "no"\n']}, "lark", r'start: "yes" | "a \"no\"\n"'),
        ({"grammar": 'start: "x"', "regex": None}, "lark", 'start: "x"'),
    ],
)
def test_structured_outputs_are_enforced(
    call: Caller, fake_engine: FakeEngine, outputs: Any, kind: str, text: str
) -> None:
    assert ask(call, structured_outputs=outputs).status == 200

    grammar = asked(fake_engine).sampling.grammar
    assert grammar is not None
    assert (grammar.kind, grammar.text) == (kind, text)


def test_a_grammar_that_the_engine_refuses_is_a_bad_request(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, failure("invalid_request", "The grammar has no start."))

    answer = ask(call, structured_outputs={"grammar": "x"})

    assert (answer.status, answer.error["message"]) == (400, "The grammar has no start.")


# --- several answers --------------------------------------------------------------


def test_several_answers_are_made_side_by_side(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("One", prompt_tokens=20, cached_tokens=4))
    fake_engine.once(Generate, *reply("Two", "!", prompt_tokens=20, cached_tokens=19))

    answer = ask(call, n=2)

    assert {choice["message"]["content"] for choice in answer.json["choices"]} == {"One", "Two!"}
    assert [choice["index"] for choice in answer.json["choices"]] == [0, 1]
    assert answer.json["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_each_answer_has_a_seed_of_its_own(call: Caller, fake_engine: FakeEngine) -> None:
    ask(call, n=3, seed=2**63 - 2)

    seeds = {call.request.sampling.seed for call in fake_engine.calls_of(Generate)}
    assert seeds == {2**63 - 2, 2**63 - 1, -(2**63)}


def by_index(answer: Answer) -> dict[int, list[dict[str, Any]]]:
    """The choices of a stream's chunks, sorted by the answer they are about."""
    choices: dict[int, list[dict[str, Any]]] = {}
    for chunk in answer.data[:-1]:
        for choice in chunk["choices"]:
            choices.setdefault(choice["index"], []).append(choice)
    return choices


def test_a_stream_of_several_answers_says_which_each_piece_is_of(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.always(Generate, *reply("Par", "is."))

    answer = ask(call, stream=True, n=3, stream_options={"include_usage": True})

    assert answer.data[-1] == "[DONE]"
    assert answer.data[-2]["usage"]["completion_tokens"] == 6
    choices = by_index(answer)
    assert set(choices) == {0, 1, 2}
    for told in choices.values():
        assert told[0]["delta"]["role"] == "assistant"
        assert "".join(choice["delta"].get("content", "") for choice in told) == "Paris."
        assert [choice["finish_reason"] for choice in told] == [None, None, None, "stop"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_of_one_answer_ends_the_others(
    call: Caller, fake_engine: FakeEngine, stream: bool
) -> None:
    fake_engine.once(Generate, Hang())
    fake_engine.once(Generate, failure("queue_full", retry_after=1))

    answer = ask(call, n=2, stream=stream)

    assert answer.status == 429
    for one in fake_engine.calls_of(Generate):
        one.wait_ended()
    assert [one.closed_early.is_set() for one in fake_engine.calls_of(Generate)].count(True) == 1


# --- how it is served ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "priority"),
    [
        ({}, "interactive"),
        ({"priority": "batch"}, "batch"),
        ({"service_tier": "flex"}, "batch"),
        ({"service_tier": "default"}, "interactive"),
        ({"service_tier": "flex", "priority": "interactive"}, "interactive"),
    ],
)
def test_batch_work_says_so(
    call: Caller, fake_engine: FakeEngine, fields: dict[str, Any], priority: str
) -> None:
    ask(call, **fields)

    assert asked(fake_engine).priority == priority


def test_a_deadline_and_a_salt_reach_the_engine(call: Caller, fake_engine: FakeEngine) -> None:
    ask(call, deadline_seconds=30, cache_salt="acme")

    request = asked(fake_engine)
    assert (request.deadline_seconds, request.cache_salt) == (30.0, "acme")


def test_a_deadline_that_passes_in_mid_stream_is_told(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("Par", failure("deadline_exceeded", "30 s are over.")))

    *_, error = ask(call, stream=True, deadline_seconds=30).data

    assert error["error"]["code"] == "deadline_exceeded"
    assert error["error"]["message"] == "30 s are over."


def test_timings_come_with_each_answers_end(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *scored(speculation=Speculation(drafted=8, accepted=6)))

    *_, text, end, _ = ask(call, stream=True).data

    assert "timings" not in text["choices"][0]
    assert end["choices"][0]["timings"] == {
        "queued": 0.0,
        "time_to_first_token": 0.1,
        "decode": 0.0,
        "tokens_per_second": 0.0,
        "speculation": {"drafted": 8, "accepted": 6},
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("repeated", "told"), [(True, "hit"), (False, "miss")])
def test_the_response_cache_shows_in_a_header(
    call: Caller, fake_engine: FakeEngine, settings: Any, stream: bool, repeated: bool, told: str
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"response_cache_mb": 1})
    fake_engine.once(Generate, *scored(repeated=repeated))

    assert ask(call, stream=stream).headers["X-MLXHub-Response-Cache"] == told


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_cache_that_is_off_shows_nowhere(call: Caller, stream: bool) -> None:
    assert "X-MLXHub-Response-Cache" not in ask(call, stream=stream).headers


# --- adapters -------------------------------------------------------------------------


def test_an_adapter_is_named_after_a_colon(
    call: Caller, fake_engine: FakeEngine, pirate: Adapter
) -> None:
    answer = ask(call, model="tiny:pirate")

    assert answer.json["model"] == "tiny:pirate"
    request = asked(fake_engine)
    assert request.model.name == "tiny"
    assert request.adapter == AdapterSpec(
        name="pirate", path="/adapters/pirate", digest="digest-pirate"
    )


def test_an_adapter_is_found_under_its_models_repository_id(
    call: Caller, fake_engine: FakeEngine, qwen: LocalModel
) -> None:
    Adapter.objects.create(base=qwen, slug="poet", name="Poet", path="/p", digest="d")

    assert ask(call, model="acme/Qwen-Test:poet").json["model"] == "qwen:poet"


def test_a_models_draft_goes_with_it(
    call: Caller, fake_engine: FakeEngine, tiny: LocalModel, qwen: LocalModel
) -> None:
    LocalModel.objects.filter(pk=qwen.pk).update(draft=tiny)

    assert ask(call, model="qwen").status == 200

    draft = asked(fake_engine).model.draft
    assert draft is not None
    assert draft.name == "tiny"


def test_an_unknown_adapter_is_not_found(call: Caller, pirate: Adapter) -> None:
    answer = ask(call, model="tiny:sailor")

    assert answer.status == 404
    assert answer.error["param"] == "model"
    assert "tiny:pirate" in answer.error["message"]
