"""The official client's completions and embeddings against a serving hub."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from apps.inference.engine.protocol import Embed, Generate
from apps.inference.tests.conftest import Hub
from apps.models.models import LocalModel
from tests.engine_scripts import Hang, failure, reply
from tests.fake_engine import FakeEngine, Prompt
from tests.registry import make_model


@pytest.fixture
def client(hub: Hub, tiny: LocalModel) -> Iterator[openai.OpenAI]:
    make_model("minilm", kind=LocalModel.Kind.EMBEDDING, alias="text-embedding-3-small")
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_it_completes_a_text(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply(" upon", " a time"))

    completion = client.completions.create(model="tiny", prompt="Once", n=1)

    assert completion.choices[0].text == " upon a time"
    assert completion.choices[0].finish_reason == "stop"


def test_it_streams_a_text(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply(" upon", " a time"))

    stream = client.completions.create(
        model="tiny", prompt="Once", stream=True, stream_options={"include_usage": True}
    )

    *chunks, last = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks) == " upon a time"
    assert last.usage is not None
    assert last.usage.total_tokens == 14


def test_a_stream_that_is_left_ends_its_answers(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    fake_engine.always(Generate, Prompt(prompt_tokens=3, cached_tokens=0), Hang())

    stream = client.completions.create(model="tiny", prompt=["a"] * 20, stream=True)
    for number in range(1, 17):
        fake_engine.wait_for_call(Generate, number)
    stream.close()

    for call in fake_engine.calls_of(Generate):
        call.wait_closed_early()
    assert len(fake_engine.calls_of(Generate)) == 16  # the others' turn never came


def test_it_reads_vectors_under_the_name_that_it_knows(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["Hello", "Hi"])

    assert [one.embedding for one in answer.data] == [[5.0, 1.0], [2.0, 1.0]]
    assert answer.model == "minilm"


def test_errors_are_typed(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Embed, failure("queue_full", "Wait."))
    with pytest.raises(openai.RateLimitError, match="Wait"):
        client.embeddings.create(model="minilm", input="Hello")

    fake_engine.once(Embed, failure("insufficient_memory", "No room."))
    with pytest.raises(openai.InternalServerError, match="No room"):
        client.embeddings.create(model="minilm", input="Hello")
