"""Whatever shape a request has, it is answered or refused: never an error of the hub's own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.inference.engine.protocol import Generate, Reasoning, Tokenize, Tokens
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import reply
from tests.fake_engine import FakeEngine

MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
MESSAGE: dict[str, Any] = {
    "model": "tiny",
    "max_tokens": 20,
    "system": [{"type": "text", "text": "Be brief."} | MARK],
    "messages": [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Look.", "signature": ""},
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": [1, None]}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "Sunny"}],
                    "is_error": False,
                }
                | MARK,
                {"type": "text", "text": "So?"},
            ],
        },
    ],
    "tools": [{"name": "f", "description": "", "input_schema": {"type": "object"}} | MARK],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    "output_config": {"format": {"type": "json_schema", "schema": {}}, "effort": "low"},
    "metadata": {"user_id": "ada"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "stream": True,
    "cache_control": {"type": "ephemeral"},
}
COUNT = {
    name: MESSAGE[name]
    for name in ("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config")
}
RESPONSE: dict[str, Any] = {
    "model": "tiny",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "x"}],
            "content": [{"type": "reasoning_text", "text": "Look."}],
        },
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "Sunny"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Sunny.", "annotations": []}],
        },
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}],
    },
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 2,
    "metadata": {"a": "b"},
    "max_output_tokens": 20,
    "temperature": 0.5,
    "top_p": 0.5,
    "stream": True,
    "store": True,
    "previous_response_id": None,
    "user": "ada",
}

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "text", "tool_use", "message", "function_call", "none", "\0text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "id", "name"])
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a body something can be put in the place of what is there."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [path] * bool(path) + [
        place for key in keys for place in _places(value[key], (*path, key))
    ]


@st.composite
def _altered(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    """A good body in which up to three things are replaced, left out or added."""
    changed = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        *way, key = draw(st.sampled_from(_places(changed)))
        holder: Any = changed
        for step in way:
            holder = holder[step]
        if isinstance(holder, dict) and draw(st.booleans()):
            if draw(st.booleans()):
                del holder[key]
            else:
                holder[draw(st.text(max_size=5))] = draw(ODD)
        else:
            holder[key] = draw(ODD)
        if not changed:
            break
    return changed


@pytest.fixture(autouse=True)
def _hub(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    fake_engine.always(Generate, *reply(Reasoning(text="Hm."), "Sunny", "."))
    fake_engine.always(Tokenize, Tokens(tokens=(1,), strings=("a",)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", MESSAGE),
        ("/v1/messages/count_tokens", COUNT),
        ("/v1/responses", RESPONSE),
    ],
)
def test_the_body_that_is_altered_is_a_good_one(call: Caller, path: str, body: Any) -> None:
    assert call("POST", path, body).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", MESSAGE),
        ("/v1/messages/count_tokens", COUNT),
        ("/v1/responses", RESPONSE),
    ],
)
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_shape_of_a_request_is_the_hubs_own_error(
    call: Caller, path: str, body: Any, data: st.DataObject
) -> None:
    answer = call("POST", path, data.draw(_altered(body)))

    assert answer.status in (200, 400, 404), answer.content
    if answer.status != 200:
        assert answer.error["message"]
