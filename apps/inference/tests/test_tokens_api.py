"""POST /v1/tokenize and /v1/detokenize."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.engine.protocol import Detokenize, Tokenize
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine


def tokenize(call: Caller, **fields: Any) -> Any:
    return call("POST", "/v1/tokenize", {"model": "tiny"} | fields)


def test_a_text_is_counted(call: Caller, tiny: LocalModel, fake_engine: FakeEngine) -> None:
    answer = tokenize(call, prompt="Hi", add_special_tokens=False)

    assert answer.status == 200
    assert answer.json == {
        "count": 2,
        "max_model_len": 2048,
        "tokens": [72, 105],
        "token_strs": None,
    }
    assert fake_engine.wait_for_call(Tokenize).request.add_special_tokens is False


def test_tokens_come_with_their_texts(
    call: Caller, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    assert tokenize(call, prompt="Hi", return_token_strs=True).json["token_strs"] == ["H", "i"]


def test_a_conversation_goes_as_it_is(
    call: Caller, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    tool = {"type": "function", "function": {"name": "weather"}}

    tokenize(
        call,
        messages=[{"role": "user", "content": "Hi"}],
        tools=[tool],
        chat_template_kwargs={"enable_thinking": False},
    )

    request = fake_engine.wait_for_call(Tokenize).request
    assert (request.text, request.messages[0].content) == (None, "Hi")
    assert request.tools[0].name == "weather"
    assert request.template_options == {"enable_thinking": False}


@pytest.mark.parametrize(
    "fields", [{}, {"prompt": "a", "messages": [{"role": "user", "content": "a"}]}]
)
def test_it_is_either_a_text_or_a_conversation(
    call: Caller, tiny: LocalModel, fields: dict[str, Any]
) -> None:
    answer = tokenize(call, **fields)

    assert (answer.status, answer.error["param"]) == (400, "messages")
    assert "either prompt or messages" in answer.error["message"]


def test_tokens_become_a_text(call: Caller, tiny: LocalModel, fake_engine: FakeEngine) -> None:
    answer = call("POST", "/v1/detokenize", {"model": "tiny", "tokens": [72, 105]})

    assert (answer.status, answer.json) == (200, {"prompt": "Hi"})


def test_what_the_engine_refuses_is_said(
    call: Caller, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Detokenize, failure("invalid_request", "-1 is no token of this model."))

    answer = call("POST", "/v1/detokenize", {"model": "tiny", "tokens": [-1]})

    assert (answer.status, answer.error["message"]) == (400, "-1 is no token of this model.")
