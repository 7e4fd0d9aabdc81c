"""A model's defaults in the calls that leave them out."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.engine.protocol import Generate, Message
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import reply
from tests.fake_engine import FakeEngine

QUESTION = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def _defaults(tiny: LocalModel) -> None:
    LocalModel.objects.update(
        recommended={"temperature": 0.6, "top_p": 0.95},
        temperature=0.2,
        min_p=0.05,
        max_tokens=77,
        context_limit=1000,
        system_prompt="Be brief.",
    )


def asked(call: Caller, fake_engine: FakeEngine, url: str, **fields: Any) -> Generate:
    """What the engine is asked."""
    fake_engine.once(Generate, *reply("Yes."))
    answer = call("POST", url, {"model": "tiny"} | fields)
    assert answer.status == 200, answer.content
    request = fake_engine.calls[-1].request
    assert isinstance(request, Generate)
    return request


def test_a_call_that_leaves_them_out_gets_them(call: Caller, fake_engine: FakeEngine) -> None:
    request = asked(call, fake_engine, "/v1/chat/completions", messages=QUESTION)

    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.min_p) == (0.2, 0.95, 0.05)
    assert sampling.max_tokens == 77
    assert request.messages[0] == Message(role="system", content="Be brief.")
    assert request.model.context_limit == 1000


def test_what_a_call_says_holds(call: Caller, fake_engine: FakeEngine) -> None:
    request = asked(
        call,
        fake_engine,
        "/v1/chat/completions",
        messages=[{"role": "developer", "content": "Be long."}, *QUESTION],
        temperature=1,
        top_p=1,
        max_tokens=5,
    )

    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (1, 1, 5)
    assert [message.content for message in request.messages] == ["Be long.", "Hi"]


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"messages": QUESTION, "max_tokens": 5}),
    ],
)
def test_every_dialect_has_them(
    call: Caller, fake_engine: FakeEngine, url: str, fields: dict[str, Any]
) -> None:
    request = asked(call, fake_engine, url, **fields)

    assert (request.sampling.temperature, request.sampling.top_p) == (0.2, 0.95)
    assert request.messages[0].content == "Be brief."


def test_a_text_to_go_on_from_gets_no_system_prompt(call: Caller, fake_engine: FakeEngine) -> None:
    request = asked(call, fake_engine, "/v1/completions", prompt="Once")

    assert request.messages == ()
    assert request.sampling.temperature == 0.2


def test_a_response_tells_the_sampling_that_was_used(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Yes."))

    told = call("POST", "/v1/responses", {"model": "tiny", "input": "Hi"}).json

    assert (told["temperature"], told["top_p"]) == (0.2, 0.95)
