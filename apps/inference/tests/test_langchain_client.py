"""langchain-openai against a serving hub: what a real engine seldom does."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

from apps.inference.engine.protocol import Generate
from apps.inference.tests.conftest import Hub
from apps.models.models import LocalModel
from tests.engine_scripts import Hang, failure, reply
from tests.fake_engine import FakeEngine


def chat(hub: Hub, **options: Any) -> ChatOpenAI:
    given: dict[str, Any] = {"model": "tiny", "base_url": f"{hub.url}/v1", "api_key": "unused"}
    return ChatOpenAI(**given, **{"max_retries": 0} | options)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("context_length_exceeded", openai.BadRequestError),
        ("queue_full", openai.RateLimitError),
        ("internal_error", openai.InternalServerError),
    ],
)
def test_the_engines_errors_are_typed(
    hub: Hub,
    tiny: LocalModel,
    fake_engine: FakeEngine,
    code: Any,
    error: type[openai.APIStatusError],
) -> None:
    fake_engine.once(Generate, failure(code, "What to do."))

    with pytest.raises(error, match=r"What to do\."):
        chat(hub).invoke("Hello")


def test_it_waits_and_tries_again_where_it_is_told_to(
    hub: Hub, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, failure("queue_full", retry_after=0.01))

    assert chat(hub, max_retries=1).invoke("Hello").content == "Hello world"


def test_a_timeout_ends_the_work(hub: Hub, tiny: LocalModel, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Hang()))

    with pytest.raises(openai.APITimeoutError):
        chat(hub, timeout=1.0).invoke("Hello")

    fake_engine.wait_for_call(Generate).wait_closed_early()
