"""The Evaluations pages and their REST API, without an engine."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.datasets.models import DatasetVersion
from apps.jobs.models import JobState
from apps.models.models import Adapter, LocalModel
from apps.training.evaluation import tasks
from apps.training.evaluation.models import Evaluation, Finding, PromptSet
from apps.training.evaluation.plan import Check, Plan
from apps.training.evaluation.services import order


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of those that were given to the worker, which does not run here."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "run_evaluation", keys.append)
    return keys


@pytest.fixture
def pirate(tiny: LocalModel) -> Adapter:
    return Adapter.objects.create(
        base=tiny, slug="pirate", name="Pirate", path="/adapters/pirate", digest="p"
    )


@pytest.fixture
def evaluation(pirate: Adapter, numbers: DatasetVersion) -> Evaluation:
    plan = Plan(
        subjects=("tiny", "tiny:pirate"),
        question_rows=2,
        prompts=("<b>Ahoy</b>?",),
        check=Check(kind="exact"),
    )
    return order(plan=plan, version=numbers)


def answer(evaluation: Evaluation, **fields: Any) -> Finding:
    return Finding.objects.create(evaluation=evaluation, answers=True, **fields)


def form(**fields: Any) -> dict[str, Any]:
    given = {
        "subjects": ["tiny", "tiny:pirate"], "split": "valid", "loss_rows": 3, "question_rows": 2,
        "max_tokens": 16, "check": "exact", "check_text": "", "prompts": "Ahoy?\n\n",
    }  # fmt: skip
    return given | fields


def test_the_form_orders_an_evaluation(
    client: Client,
    pirate: Adapter,
    numbers: DatasetVersion,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(reverse("evaluations:new"), form(dataset=numbers.dataset.pk))
    made = Evaluation.objects.get()
    assert answer.status_code == 302
    assert queued == [made.pk]
    assert made.subjects == ["tiny", "tiny:pirate"]
    assert made.lines == [0, 1, 3]
    assert [question.asked for question in made.asked] == ["Ahoy?", "Number 50?", "Number 52?"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subjects": []}, "Choose a model"),
        ({"subjects": ["tiny:gone"]}, "Select a valid choice"),
        ({"prompts": ""}, "there is nothing to ask yet"),
        ({"check": "regex", "check_text": "("}, "can&#x27;t be used"),
    ],
)
def test_a_form_with_mistakes_comes_back_with_them(
    client: Client, pirate: Adapter, fields: dict[str, Any], message: str
) -> None:
    answer = client.post(reverse("evaluations:new"), form(**fields))
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert not Evaluation.objects.exists()


def test_an_adapters_form_begins_with_its_base(client: Client, pirate: Adapter) -> None:
    page = client.get(reverse("evaluations:new"), {"subject": "tiny:pirate"})
    assert page.context["form"].initial["subjects"] == ["tiny", "tiny:pirate"]


def test_the_page_shows_figures_and_answers_side_by_side(
    client: Client, evaluation: Evaluation
) -> None:
    for subject, text in enumerate(("It is 50", "It is 50, ")):
        answer(evaluation, row=1, subject=subject, text=text, passed=subject == 1)
        Finding.objects.create(
            evaluation=evaluation, answers=False, row=0, subject=subject, loss=2.0, tokens=4
        )
    Evaluation.objects.update(state=JobState.DONE)
    shown = client.get(evaluation.get_absolute_url()).content.decode()
    assert "7.389" in shown  # e to the 2
    assert "1 of 1" in shown
    assert "0 of 1" in shown
    assert "It is 50" in shown
    assert "&lt;b&gt;Ahoy&lt;/b&gt;?" in shown
    assert client.get(reverse("evaluations:home")).status_code == 200


def test_prompts_are_kept_as_a_set_and_asked_again(client: Client, pirate: Adapter) -> None:
    client.post(reverse("evaluations:new"), form(prompts="Ahoy?\nWhere to?", save_as="Sea"))
    kept = PromptSet.objects.get()
    assert kept.prompts == ["Ahoy?", "Where to?"]
    client.post(reverse("evaluations:new"), form(prompts="Who?\nAhoy?", prompt_set=kept.pk))
    asked = [question.asked for question in Evaluation.objects.newest_first()[0].asked]
    assert asked == ["Who?", "Ahoy?", "Where to?"]
    assert "Sea (2)" in client.get(reverse("evaluations:home")).content.decode()
    refused = client.post(reverse("evaluations:new"), form(prompts="", save_as="Empty"))
    assert refused.status_code == 422
    client.post(reverse("evaluations:delete_prompts", args=[kept.pk]))
    assert not PromptSet.objects.exists()


def test_an_evaluation_at_work_is_followed_and_not_deleted(
    client: Client, evaluation: Evaluation
) -> None:
    shown = client.get(evaluation.get_absolute_url(), headers={"HX-Request": "true"})
    assert "data-poll" in shown.content.decode()
    client.post(reverse("evaluations:delete", args=[evaluation.pk]))
    assert Evaluation.objects.exists()
    client.post(reverse("evaluations:cancel", args=[evaluation.pk]))
    evaluation.refresh_from_db()
    assert evaluation.state == JobState.CANCELLED
    client.post(reverse("evaluations:resume", args=[evaluation.pk]))
    evaluation.refresh_from_db()
    assert evaluation.state == JobState.QUEUED


def test_the_api_orders_tells_and_deletes(
    client: Client, pirate: Adapter, numbers: DatasetVersion
) -> None:
    asked = {"models": ["tiny", "tiny:pirate"], "data": "numbers", "question_rows": 2}
    made = client.post("/api/evaluations", asked, content_type="application/json")
    assert made.status_code == 201, made.content
    key = made.json()["id"]
    answer(Evaluation.objects.get(), row=0, subject=1, text="It is 50")
    told = client.get(f"/api/evaluations/{key}/answers").json()
    assert told["total"] == 2
    assert told["questions"][0]["answers"] == [
        {"model": "tiny:pirate", "text": "It is 50", "passed": None, "error": ""}
    ]
    assert client.get(f"/api/evaluations/{key}").json()["scores"][1]["answered"] == 1
    assert client.delete(f"/api/evaluations/{key}").status_code == 409
    assert client.post(f"/api/evaluations/{key}/cancel").json()["state"] == "cancelled"
    assert client.delete(f"/api/evaluations/{key}").status_code == 204
    assert client.get("/api/evaluations").json()["total"] == 0


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"models": ["gone"], "prompts": ["Ahoy?"]}, 404),
        ({"models": ["tiny"]}, 400),
        ({"models": ["tiny"], "data": "gone"}, 404),
        ({"models": ["tiny"], "data": "../etc"}, 404),
        ({"models": ["tiny"], "data": "numbers@x"}, 400),
        ({"models": ["tiny"], "data": "numbers", "split": "test"}, 400),
        ({"models": []}, 400),
    ],
)
def test_the_api_refuses_what_can_not_be_asked(
    client: Client, tiny: LocalModel, numbers: DatasetVersion, asked: dict[str, Any], status: int
) -> None:
    answer = client.post("/api/evaluations", asked, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
