"""A request that is too big is refused with a message of its own, before the engine sees it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.api.bounds import (
    MAX_STOP_CHARACTERS,
    MAX_TOOL_SCHEMA_CHARACTERS,
    MAX_TOOLS,
    OutOfBounds,
    check_bounds,
)
from apps.inference.engine.protocol import Generate, Message, ModelSpec, Sampling, Tool
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine

SPEC = ModelSpec(name="tiny", path="/tiny", digest="d")
HI = (Message(role="user", content="Hi"),)


def asks(**fields: Any) -> list[Generate]:
    return [Generate(**{"model": SPEC, "messages": HI} | fields)]


@pytest.fixture(autouse=True)
def _small(settings: Any) -> None:
    changes = {"max_messages": 3, "max_prompt_characters": 100}
    settings.HUB = settings.HUB.model_copy(update=changes)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": HI * 4}, "messages"),
        ({"messages": (Message(role="user", content="x" * 101),)}, "messages"),
        ({"messages": (), "prompt": "x" * 101}, "prompt"),
        ({"messages": (), "prompt": (1,) * 101}, "prompt"),
        ({"sampling": Sampling(stop=("x" * (MAX_STOP_CHARACTERS + 1),))}, "stop"),
        ({"tools": (Tool(name="f"),) * (MAX_TOOLS + 1)}, "tools"),
        ({"tools": (Tool(name="f", parameters="x" * (MAX_TOOL_SCHEMA_CHARACTERS + 1)),)}, "tools"),
    ],
)
def test_each_bound_names_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(OutOfBounds) as refused:
        check_bounds(asks(**fields))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": HI * 3},
        {"messages": (Message(role="user", content="x" * 100),)},
        {"sampling": Sampling(stop=("x" * MAX_STOP_CHARACTERS,))},
        {"tools": (Tool(name="f"),) * MAX_TOOLS},
    ],
)
def test_what_is_just_within_passes(fields: dict[str, Any]) -> None:
    check_bounds(asks(**fields))


@pytest.mark.parametrize("stream", [True, False])
def test_over_http_it_is_a_400_and_the_next_request_is_answered(
    call: Caller, tiny: LocalModel, fake_engine: FakeEngine, stream: bool
) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}] * 4, "stream": stream}
    answer = call("POST", "/v1/chat/completions", body)
    assert answer.status == 400
    assert answer.error["code"] == "request_out_of_bounds"
    assert answer.error["param"] == "messages"
    assert "MLXHUB_MAX_MESSAGES" in answer.error["message"]
    assert not fake_engine.calls_of(Generate)
    assert (
        call("POST", "/v1/chat/completions", body | {"messages": body["messages"][:1]}).status
        == 200
    )


def test_long_headers_are_a_431(call: Caller) -> None:
    answer = call("GET", "/v1/models", x_long="x" * 40_000)
    assert answer.status == 431
    assert answer.error["code"] == "request_headers_too_large"
