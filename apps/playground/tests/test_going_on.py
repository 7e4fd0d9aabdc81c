"""Answers that were cut go on in the same message."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.inference.engine.protocol import Generate, Reasoning
from apps.inference.engine.protocol import Message as Said
from apps.playground import answers, services
from apps.playground.errors import AnswerRunning, NoModel, NotContinuable
from apps.playground.models import Conversation, Message
from apps.playground.outcome import Outcome
from apps.playground.tests.addresses import HTMX, message_url, url
from apps.playground.tests.conftest import Ask, finished, wait_for_text
from tests.engine_scripts import Gate, Hang, HangUp, failure, reply
from tests.fake_engine import FakeEngine
from tests.registry import make_model

State = Message.State


@pytest.fixture
def cut(engine: FakeEngine, ask: Ask) -> Message:
    """An answer that reached the token limit."""
    engine.once(Generate, *reply("The capital", " of France", finish_reason="length"))
    return ask("What is the capital of France?")


def test_it_goes_on_in_the_same_message(engine: FakeEngine, cut: Message) -> None:
    engine.once(Generate, *reply(" is Paris.", prompt_tokens=14, cached_tokens=13))
    answer = finished(services.go_on(answer=cut))
    request = engine.wait_for_call(Generate, 2).request

    assert answer == cut
    assert answer.content == "The capital of France is Paris."
    assert (answer.state, answer.finish_reason) == (State.COMPLETE, "stop")
    assert request.continue_final
    assert request.messages[-1] == Said(role="assistant", content="The capital of France")


def test_its_figures_are_those_of_the_whole_answer(engine: FakeEngine, cut: Message) -> None:
    engine.once(Generate, *reply(" is", " Paris.", prompt_tokens=14, cached_tokens=13))
    answer = finished(services.go_on(answer=cut))

    assert (answer.prompt_tokens, answer.cached_tokens) == (12, 0), "the question's"
    assert (answer.completion_tokens, answer.ttft) == (4, 0.05)
    assert answer.tokens_per_second == pytest.approx(20.0)


def test_what_was_stopped_and_interrupted_goes_on_too(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    engine.once(Generate, *reply("The", HangUp()))
    answer = ask("Hello?")
    engine.once(Generate, *reply(" capital", Hang(), prompt_tokens=13))
    services.go_on(answer=answer)
    running = answers.find(answer.pk)
    assert running is not None
    wait_for_text(running, "The capital")
    services.stop(answer=answer)
    assert (answer.state, answer.content, answer.error) == (State.STOPPED, "The capital", "")

    engine.once(Generate, *reply(" is Paris.", prompt_tokens=14))
    answer = finished(services.go_on(answer=answer))

    assert answer.content == "The capital is Paris."
    assert answer.completion_tokens == 3, "two that it read, and one that it wrote"


def test_thoughts_go_on_as_thoughts(engine: FakeEngine, ask: Ask) -> None:
    prompt, prefill, done = reply(finish_reason="length")
    engine.once(Generate, prompt, prefill, Reasoning(text="France has"), done)
    answer = ask("What is its capital?")
    prompt, prefill, said, done = reply("Paris.")
    engine.once(Generate, prompt, prefill, Reasoning(text=" one."), said, done)
    answer = finished(services.go_on(answer=answer))

    assert answer.content == "<think>France has one.</think>\n\nParis."
    last = engine.wait_for_call(Generate, 2).request.messages[-1]
    assert (last.reasoning, last.content) == ("France has", "")


def test_a_failure_keeps_the_text_and_its_figures(engine: FakeEngine, cut: Message) -> None:
    engine.once(Generate, failure("context_length_exceeded", "The prompt is too long."))
    answer = finished(services.go_on(answer=cut))

    assert answer.content == "The capital of France"
    assert (answer.state, answer.error) == (State.FAILED, "The prompt is too long.")
    assert answer.completion_tokens == 2
    assert answer.was_cut


def test_a_double_click_goes_on_once(engine: FakeEngine, cut: Message) -> None:
    gate = Gate()
    engine.once(Generate, gate, *reply(" is Paris."))
    services.go_on(answer=cut)
    with pytest.raises(AnswerRunning):
        services.go_on(answer=cut)
    gate.open()
    finished(cut)


def test_the_branch_that_goes_on_is_on_show(engine: FakeEngine, cut: Message) -> None:
    finished(services.regenerate(answer=cut))
    finished(services.go_on(answer=cut))
    cut.conversation.refresh_from_db()

    assert cut.conversation.active_leaf == cut


def test_what_came_to_its_end_or_was_answered_does_not_go_on(ask: Ask, cut: Message) -> None:
    whole = ask("And of Italy?")
    with pytest.raises(NotContinuable, match="came to its end"):
        services.go_on(answer=whole)
    with pytest.raises(NotContinuable, match="has gone on"):
        services.go_on(answer=cut)
    correction = services.correct(answer=cut, content="Paris.")
    with pytest.raises(NotContinuable, match="came to its end"):
        services.go_on(answer=correction)


def test_an_answer_is_one_models(cut: Message) -> None:
    Conversation.objects.update(model=make_model("second"))
    with pytest.raises(NotContinuable, match="Choose that model"):
        services.go_on(answer=cut)
    Conversation.objects.update(model=None)
    with pytest.raises(NoModel):
        services.go_on(answer=cut)


@pytest.mark.parametrize(
    ("earlier", "later", "written"),
    [
        (Outcome(prompt_tokens=10, completion_tokens=5), Outcome(prompt_tokens=15), None),
        (Outcome(prompt_tokens=10, completion_tokens=5), Outcome(), 5),
        (
            Outcome(prompt_tokens=10, completion_tokens=5),
            Outcome(prompt_tokens=16, completion_tokens=3),
            8,
        ),
        (Outcome(prompt_tokens=10), Outcome(prompt_tokens=16, completion_tokens=3), 9),
        (Outcome(), Outcome(prompt_tokens=16, completion_tokens=3), None),
    ],
)
def test_tokens_are_told_where_they_are_known(
    earlier: Outcome, later: Outcome, written: int | None
) -> None:
    assert later.after(earlier).completion_tokens == written


def test_the_rate_is_of_all_tokens_over_all_the_time() -> None:
    slow = Outcome(completion_tokens=10, tokens_per_second=5.0)
    quick = Outcome(completion_tokens=10, tokens_per_second=20.0)

    assert quick.after(slow).tokens_per_second == 8.0
    assert quick.after(Outcome()).tokens_per_second == 20.0
    assert Outcome().after(Outcome()).tokens_per_second is None


# --- pages --------------------------------------------------------------------


def test_the_page_offers_it_below_the_last_answer_alone(
    client: Client, engine: FakeEngine, ask: Ask, cut: Message
) -> None:
    action = f'action="{message_url(cut, "continue/")}"'
    page = client.get(url(cut.conversation)).content.decode()
    assert "reached the token limit" in page
    assert page.count(action) == 1

    ask("And of Italy?")
    assert "continue/" not in client.get(url(cut.conversation)).content.decode()


def test_it_is_offered_beside_what_went_wrong(client: Client, engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, *reply("The capital", HangUp()))
    answer = ask("Hello?")
    page = client.get(url(answer.conversation)).content.decode()

    assert page.count(f'action="{message_url(answer, "continue/")}"') == 1


def test_the_button_shows_the_answer_going_on(
    client: Client, engine: FakeEngine, cut: Message
) -> None:
    gate = Gate()
    engine.once(Generate, gate, *reply(" is Paris."))
    page = client.post(message_url(cut, "continue/"), headers=HTMX).content.decode()
    gate.open()

    assert f'data-follow="{message_url(cut, "events/")}?as=html"' in page
    assert "<p>The capital of France</p>" in page
    assert "data-stop" in page
    assert finished(cut).content == "The capital of France is Paris."


def test_a_refusal_is_told_beside_the_messages(client: Client, ask: Ask) -> None:
    answer = ask("Hello?")
    response = client.post(message_url(answer, "continue/"), headers=HTMX)

    assert response.status_code == 409
    assert "came to its end" in response.content.decode()
