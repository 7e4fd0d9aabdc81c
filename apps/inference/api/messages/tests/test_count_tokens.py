"""POST /v1/messages/count_tokens."""

from __future__ import annotations

import pytest

from apps.inference.engine.protocol import Message, Tokenize, Tokens
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine

URL = "/v1/messages/count_tokens"
TOOL = {"name": "get_weather", "input_schema": {"type": "object"}}
ASKED = {
    "model": "tiny",
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Hi"}],
    "tools": [TOOL],
    "thinking": {"type": "disabled"},
}
THREE = Tokens(tokens=(1, 2, 3), strings=("a", "b", "c"))


@pytest.fixture(autouse=True)
def _model(tiny: LocalModel) -> None:
    """There is a model."""


def test_the_prompt_is_counted_as_its_model_reads_it(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Tokenize, THREE)

    assert call("POST", URL, ASKED).json == {"input_tokens": 3}
    request = fake_engine.wait_for_call(Tokenize).request
    assert request.messages == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hi"),
    )
    assert [tool.name for tool in request.tools] == ["get_weather"]
    assert request.template_options == {"enable_thinking": False}


def test_what_only_an_answer_has_is_not_taken(call: Caller, fake_engine: FakeEngine) -> None:
    answer = call("POST", URL, ASKED | {"max_tokens": 5})

    assert answer.status == 400
    assert answer.error["message"].startswith("max_tokens: ")


def test_an_error_has_anthropics_shape(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Tokenize, failure("chat_template_error", "What to do."))

    answer = call("POST", URL, ASKED)

    assert answer.status == 400
    assert answer.json["type"] == "error"
