"""Ratings and corrections, and the rows that come of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.datasets import tasks as dataset_tasks
from apps.datasets.errors import BadDataOrder
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.running import run
from apps.inference.usage.models import RequestRecord
from apps.playground import services
from apps.playground.collecting.services import (
    Picked,
    add_to_dataset,
    collect,
    make_dataset,
)
from apps.playground.errors import AnswerRunning
from apps.playground.models import Conversation, Message

Rating = Message.Rating
COLLECT = reverse("playground:collect")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    Path(settings.HUB.data_dir).mkdir()
    monkeypatch.setattr(dataset_tasks, "run_dataset_job", lambda key: None)


def say(chat: Conversation, role: str, content: str, **fields: Any) -> Message:
    """The next message of the branch on show, or where ``parent`` says."""
    parent = fields.pop("parent", chat.active_leaf)
    message = Message.objects.create(
        conversation=chat, role=role, content=content, parent=parent, **fields
    )
    chat.show(message)
    return message


@pytest.fixture
def answer(chat: Conversation) -> Message:
    """The only answer of a conversation with a system prompt."""
    chat.system_prompt = "Be brief."
    chat.save()
    say(chat, "user", "Capital of France?")
    return say(chat, "assistant", "<think>Hm.</think>Lyon.", model_name="tiny")


def rows(**picked: Any) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name != "conversation"}
        for row in collect(Picked(**picked)).rows
    ]


def said(*texts: str) -> dict[str, Any]:
    """A conversation row of these, after the system prompt."""
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"messages": [{"role": "system", "content": "Be brief."}, *messages]}


def carried_out(job: DatasetJob) -> DatasetVersion:
    run(job, stops=threading.Event())
    job.refresh_from_db()
    assert job.error == ""
    return Dataset.objects.named(job.dataset.slug).version(None)


class TestJudging:
    def test_a_rating_is_given_and_taken_back(self, client: Client, answer: Message) -> None:
        url = reverse("playground:rate", args=[answer.pk])
        for rating in (1, -1, 0):
            assert client.post(url, {"rating": rating}).status_code == 302
            answer.refresh_from_db()
            assert answer.rating == rating

    def test_nonsense_rates_nothing(self, client: Client, answer: Message) -> None:
        client.post(reverse("playground:rate", args=[answer.pk]), {"rating": "7"})
        answer.refresh_from_db()
        assert answer.rating == Rating.NONE

    def test_a_question_is_not_rated(self, client: Client, answer: Message) -> None:
        url = reverse("playground:rate", args=[answer.parent_id])
        assert client.post(url, {"rating": 1}).status_code == 404

    def test_a_correction_is_a_version_that_the_chat_goes_on_from(
        self, client: Client, answer: Message
    ) -> None:
        url = reverse("playground:correct", args=[answer.pk])
        client.post(url, {"content": "Paris.\r\n"})
        corrected = Message.objects.get(corrects=answer)
        assert (corrected.content, corrected.parent_id) == ("Paris.", answer.parent_id)
        answer.conversation.refresh_from_db()
        assert answer.conversation.active_leaf == corrected
        page = client.get(answer.conversation.get_absolute_url()).content.decode()
        assert "tiny, corrected by you" in page

    def test_a_correction_that_changes_nothing_is_none(self, answer: Message) -> None:
        assert services.correct(answer=answer, content="Lyon. ") == answer

    def test_a_correction_of_a_correction_is_one_of_the_answer(self, answer: Message) -> None:
        first = services.correct(answer=answer, content="Parris.")
        assert services.correct(answer=first, content="Paris.").corrects == answer

    def test_the_form_has_the_answer_without_its_thoughts(
        self, client: Client, answer: Message
    ) -> None:
        address = f"{answer.conversation.get_absolute_url()}?correct={answer.pk}"
        assert ">\nLyon.</textarea>" in client.get(address).content.decode()

    def test_an_empty_correction_is_refused(self, client: Client, answer: Message) -> None:
        url = reverse("playground:correct", args=[answer.pk])
        response = client.post(url, {"content": "  \n"})
        assert response.status_code == 422
        assert b"Write the answer" in response.content

    def test_what_is_being_written_is_not_corrected(self, answer: Message) -> None:
        answer.state = Message.State.RUNNING
        with pytest.raises(AnswerRunning):
            services.correct(answer=answer, content="Paris.")


class TestConversations:
    def test_a_branch_becomes_one_row_without_thoughts(self, answer: Message) -> None:
        assert rows() == [said("Capital of France?", "Lyon.")]

    def test_a_disliked_answer_ends_the_row_before_it(
        self, chat: Conversation, answer: Message
    ) -> None:
        say(chat, "user", "Sure?")
        services.rate(answer=say(chat, "assistant", "Yes."), rating=Rating.DOWN)
        assert rows() == [said("Capital of France?", "Lyon.")]

    @pytest.mark.parametrize("state", ["failed", "stopped", "interrupted", "running"])
    def test_an_answer_that_was_cut_short_teaches_nothing(
        self, chat: Conversation, answer: Message, state: str
    ) -> None:
        Message.objects.filter(pk=answer.pk).update(state=state)
        assert rows() == []

    def test_only_liked_and_corrected_answers_where_that_is_asked(
        self, chat: Conversation, answer: Message
    ) -> None:
        assert rows(which="liked") == []
        services.correct(answer=answer, content="Parris.")
        services.correct(answer=answer, content="Paris.")
        assert rows(which="liked") == [said("Capital of France?", "Paris.")]
        services.rate(answer=answer, rating=Rating.UP)
        assert len(rows(which="liked")) == 2

    def test_chosen_ones_alone(self, chat: Conversation, answer: Message) -> None:
        other = Conversation.objects.create(title="Other")
        say(other, "user", "Hi")
        mine = say(other, "assistant", "Hello")
        assert len(rows()) == 2
        assert len(rows(conversations=(other.pk,))) == 1
        assert rows(answers=(mine.pk,))[0]["messages"][-1]["content"] == "Hello"
        assert rows(conversations=(uuid4(),)) == []


class TestPairs:
    def test_a_correction_is_chosen_over_what_the_model_said(self, answer: Message) -> None:
        services.correct(answer=answer, content="Paris.")
        prompt = said("Capital of France?")["messages"]
        assert rows(kind="preference") == [
            {"prompt": prompt, "chosen": "Paris.", "rejected": "Lyon."}
        ]

    def test_the_last_correction_counts(self, answer: Message) -> None:
        services.correct(answer=answer, content="Parris.")
        services.correct(answer=answer, content="Paris.")
        assert [row["chosen"] for row in rows(kind="preference")] == ["Paris."]

    def test_a_liked_answer_is_chosen_over_its_siblings(
        self, chat: Conversation, answer: Message
    ) -> None:
        better = say(chat, "assistant", "Paris.", parent=answer.parent)
        worst = say(chat, "assistant", "Rome.", parent=answer.parent)
        assert rows(kind="preference") == []
        services.rate(answer=better, rating=Rating.UP)
        services.rate(answer=worst, rating=Rating.DOWN)
        pairs = [(row["chosen"], row["rejected"]) for row in rows(kind="preference")]
        assert pairs == [("Paris.", "Lyon."), ("Paris.", "Rome.")]

    def test_equal_answers_are_no_pair(self, chat: Conversation, answer: Message) -> None:
        same = say(chat, "assistant", "Lyon.", parent=answer.parent)
        services.rate(answer=same, rating=Rating.UP)
        assert rows(kind="preference") == []


@pytest.mark.django_db(transaction=True)
class TestDatasets:
    def test_rows_become_a_dataset_that_says_where_they_are_from(self, answer: Message) -> None:
        version = carried_out(make_dataset(picked=Picked(), name="My chats"))
        assert (version.kind, version.rows) == ("chat", 1)
        assert version.dataset.source == "1 conversation of the playground"
        value = version.files.at(0).value
        assert value["conversation"] == str(answer.conversation_id)
        assert value["messages"][-1]["content"] == "Lyon."

    def test_pairs_become_one_of_pairs(self, answer: Message) -> None:
        services.correct(answer=answer, content="Paris.")
        version = carried_out(make_dataset(picked=Picked(kind="preference"), name="Pairs"))
        assert version.kind == "preference"
        assert version.files.at(0).value["prompt"][0]["role"] == "system"
        assert version.facts["faulty"] == 0

    def test_rows_are_added_to_a_dataset_of_their_kind(self, answer: Message) -> None:
        dataset = carried_out(make_dataset(picked=Picked(), name="Chats")).dataset
        version = carried_out(add_to_dataset(picked=Picked(), dataset=dataset))
        assert (version.rows, version.change) == (2, "Added 1 row")
        services.correct(answer=answer, content="Paris.")
        with pytest.raises(BadDataOrder, match="Choose a dataset of the same kind"):
            add_to_dataset(picked=Picked(kind="preference"), dataset=dataset)

    @pytest.mark.parametrize(
        ("picked", "why"),
        [
            (Picked(kind="preference"), "No preference pair"),
            (Picked(which="liked"), "liked or corrected"),
            (Picked(conversations=(uuid4(),)), "No whole answer"),
        ],
    )
    def test_nothing_is_made_of_nothing(self, answer: Message, picked: Picked, why: str) -> None:
        with pytest.raises(BadDataOrder, match=why):
            make_dataset(picked=picked, name="x")
        assert not Dataset.objects.exists()


class TestThePage:
    def test_counts_and_shows_the_rows_before_they_are_made(
        self, client: Client, answer: Message
    ) -> None:
        page = client.get(COLLECT).content.decode()
        assert ">1 row</h2>" in page
        assert "Lyon." in page
        assert not Dataset.objects.exists()

    def test_the_choice_stands_in_the_address(self, client: Client, answer: Message) -> None:
        page = client.get(COLLECT, {"kind": "preference", "c": str(answer.conversation_id)})
        assert b"0 rows</h2>" in page.content
        assert b"A pair needs two answers" in page.content
        one = client.get(COLLECT, {"answer": answer.pk}).content
        assert b"Of 1 chosen answer" in one

    def test_htmx_gets_the_rows_alone(self, client: Client, answer: Message) -> None:
        headers = {"HX-Request": "true", "HX-Target": "collected"}
        part = client.get(COLLECT, {"which": "liked"}, headers=headers).content.decode()
        assert part.strip().startswith("<section")

    def test_a_post_makes_it(self, client: Client, answer: Message) -> None:
        response = client.post(COLLECT, {"kind": "chat", "name": "Mine"})
        dataset = Dataset.objects.get()
        assert response["Location"] == dataset.get_absolute_url()

    @pytest.mark.parametrize(
        ("order", "why"),
        [
            ({"kind": "chat"}, "Give the new dataset a name"),
            ({"kind": "chat", "name": "x", "dataset": "none"}, "Select a valid choice"),
            ({"kind": "preference", "name": "x"}, "No dataset was made"),
        ],
    )
    def test_a_refused_order_comes_back_with_the_reason(
        self, client: Client, answer: Message, order: dict[str, str], why: str
    ) -> None:
        services.rate(answer=answer, rating=Rating.UP)
        response = client.post(COLLECT, order)
        assert response.status_code == 422
        assert why in response.content.decode()
        assert not Dataset.objects.exists()

    @pytest.mark.parametrize("asked", [{"c": "no-uuid"}, {"answer": "x"}, {"kind": "odd"}])
    def test_nonsense_in_the_address_is_left_out(
        self, client: Client, answer: Message, asked: dict[str, str]
    ) -> None:
        assert client.get(COLLECT, asked).status_code == 200


class TestRequests:
    @pytest.fixture
    def asked(self, db: None) -> None:
        """Requests whose text is kept, and one whose is not."""
        body = '{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}'
        kept = {
            "endpoint": "POST /v1/chat/completions",
            "status": 200,
            "duration": 1.0,
            "created_at": timezone.now(),
        }
        whole = kept | {"finish_reason": "stop", "request_text": body, "answer_text": "Hello"}
        RequestRecord.objects.create(**whole)
        RequestRecord.objects.create(**whole | {"request_text": body[:-5]})
        RequestRecord.objects.create(**whole | {"finish_reason": "length"})
        RequestRecord.objects.create(**kept, finish_reason="stop")

    def test_those_answered_to_their_end_become_a_dataset(
        self, client: Client, asked: None
    ) -> None:
        url = reverse("playground:collect_requests")
        assert b"1 row</h2>" in client.get(url).content
        client.post(url, {"name": "Asked"})
        version = carried_out(DatasetJob.objects.get())
        assert version.files.at(0).value == {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello"},
            ]
        }
        assert version.dataset.source == "1 request to the API"

    def test_where_no_text_is_kept_the_page_says_how_to_keep_it(
        self, client: Client, db: None
    ) -> None:
        url = reverse("playground:collect_requests")
        assert b"MLXHUB_LOG_PROMPTS" in client.get(url).content
        refused = client.post(url, {"name": "x"})
        assert (refused.status_code, Dataset.objects.exists()) == (422, False)
