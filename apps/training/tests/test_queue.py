"""The line on the Training page and over REST: order, places, and the truth about dead processes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.jobs.tests.digging import dead_runner
from apps.models.models import LocalModel
from apps.models.work.models import ModelJob
from apps.training import queue_views, services
from apps.training.errors import BadOrder
from apps.training.models import TrainingJob
from apps.training.services import Place
from apps.training.tests.jobs import make_job

pytestmark = pytest.mark.django_db

HOME = reverse("training:home")
HTMX = {"HX-Request": "true"}


def text_of(response: Any) -> str:
    return response.content.decode()


def line_of(client: Client) -> list[tuple[str, int]]:
    return [(job["kind"], job["id"]) for job in client.get("/api/training/line").json()["jobs"]]


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """Seconds since the worker's last sign of life."""
    age: list[float | None] = [1.0]
    monkeypatch.setattr(queue_views, "last_beat_age", lambda: age[0])
    return age


@pytest.fixture
def three(tiny: LocalModel) -> list[TrainingJob | ModelJob]:
    """A training, a fusion, and a training that wait, in this order."""
    first = make_job(tiny, name="First")
    fusion = ModelJob.objects.create(kind=ModelJob.Kind.FUSE, subject="Tiny", model=tiny)
    return [first, fusion, make_job(tiny, name="Last")]


class TestThePage:
    def test_shows_jobs_of_every_kind_in_their_order(
        self, client: Client, three: list[TrainingJob | ModelJob]
    ) -> None:
        page = text_of(client.get(reverse("training:queue"), headers=HTMX))
        places = [page.index(name) for name in ("Training", "Fusion of Tiny", ": Last")]
        assert places == sorted(places)

    def test_moves_a_job_up_and_down(
        self, client: Client, three: list[TrainingJob | ModelJob]
    ) -> None:
        first, fusion, last = ((job.kind_label, job.pk) for job in three)
        client.post(reverse("training:move_up", args=last), headers=HTMX)
        assert line_of(client) == [first, last, fusion]
        response = client.post(reverse("training:move_down", args=first))
        assert response["Location"] == HOME
        assert line_of(client) == [last, first, fusion]

    def test_cancels_what_waits(self, client: Client, three: list[TrainingJob | ModelJob]) -> None:
        fusion = three[1]
        client.post(reverse("training:withdraw", args=(fusion.kind_label, fusion.pk)), headers=HTMX)
        fusion.refresh_from_db()
        assert fusion.state == "cancelled"

    def test_knows_no_other_kinds(self, client: Client) -> None:
        url = reverse("training:move_up", args=("auth.user", 1))
        assert client.post(url).status_code == 404

    def test_says_that_no_worker_runs(
        self,
        client: Client,
        worker: list[float | None],
        three: list[TrainingJob | ModelJob],
    ) -> None:
        assert "No worker runs" not in text_of(client.get(HOME))
        for worker[0] in (None, 60.0):
            assert "No worker runs" in text_of(client.get(HOME))

    def test_says_what_a_job_waits_for(self, client: Client, tiny: LocalModel) -> None:
        other = make_job(tiny, name="Other", state="paused")
        make_job(tiny, after=other)
        make_job(tiny, not_before=timezone.now() + timedelta(days=1), priority=1)
        page = text_of(client.get(HOME))
        assert "Waits for Other, which is paused" in page
        assert "Waits until" in page
        assert "high priority" in page

    def test_tells_a_job_its_place(self, client: Client, tiny: LocalModel) -> None:
        make_job(tiny)
        job = make_job(tiny)
        assert "2 of 2 in the" in text_of(client.get(reverse("training:detail", args=[job.pk])))


class TestADeadWorkersJob:
    @pytest.fixture
    def orphan(self, tiny: LocalModel) -> TrainingJob:
        job = make_job(tiny, state="running", runner=dead_runner(), step=7, self_resuming=False)
        job.run.mkdir()
        (job.run / "trainer.log").write_text("the last <word>\n")
        return job

    def test_is_shown_as_interrupted_with_its_last_lines_by_the_page_alone(
        self, client: Client, orphan: TrainingJob
    ) -> None:
        page = text_of(client.get(reverse("training:detail", args=[orphan.pk])))
        assert "Interrupted" in page
        assert "the last &lt;word&gt;" in page

    def test_is_told_over_rest(self, client: Client, orphan: TrainingJob) -> None:
        told = client.get(f"/api/training/jobs/{orphan.pk}").json()
        assert told["state"] == "interrupted"
        assert "the last <word>" in told["error"]

    def test_says_that_it_goes_on_by_itself(self, client: Client, orphan: TrainingJob) -> None:
        TrainingJob.objects.update(self_resuming=True)
        page = text_of(client.get(reverse("training:detail", args=[orphan.pk])))
        assert "It was interrupted, and goes on by itself" in page
        assert "goes on in its turn" in text_of(client.get(HOME))


class TestAPlace:
    def test_is_given_with_the_order(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        other = make_job(base, state="paused")
        body = {"model": "base", "folder": str(data), "name": "X", "action": "order"}
        body |= {"priority": "1", "not_before": "2031-05-04T03:02", "after": str(other.pk)}
        client.post(reverse("training:new"), body)
        job = TrainingJob.objects.latest("pk")
        assert (job.priority, job.after, job.self_resuming) == (1, other, False)
        assert job.not_before is not None
        assert (job.not_before.year, job.not_before.hour) == (2031, 3)

    def test_that_is_none_is_refused_with_what_was_typed(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        body = {"model": "base", "folder": str(data), "name": "X", "action": "order"}
        response = client.post(reverse("training:new"), body | {"not_before": "soon", "iters": "9"})
        assert response.status_code == 422
        assert "Enter a valid date/time" in text_of(response)
        assert 'name="iters" value="9"' in text_of(response)

    def test_is_changed_later(self, client: Client, tiny: LocalModel, queued: list[int]) -> None:
        job = make_job(tiny)
        client.post(reverse("training:arrange", args=[job.pk]), {"priority": "-1"})
        job.refresh_from_db()
        assert (job.priority, job.self_resuming) == (-1, False)

    def test_is_changed_over_rest(
        self, client: Client, tiny: LocalModel, queued: list[int]
    ) -> None:
        job, other = make_job(tiny), make_job(tiny)
        url = f"/api/training/jobs/{job.pk}/place"
        body = {"after": other.pk, "priority": 1, "not_before": "2031-05-04T03:02:00Z"}
        told = client.patch(url, body, content_type="application/json").json()
        assert (told["after"], told["priority"]) == (other.pk, 1)
        assert "waits for" in told["waits"]
        unknown = client.patch(url, {"after": 4711}, content_type="application/json")
        assert unknown.status_code == 404

    def test_behind_itself_is_refused(self, tiny: LocalModel, queued: list[int]) -> None:
        first = make_job(tiny)
        second = make_job(tiny, after=first)
        with pytest.raises(BadOrder, match="wait for itself"):
            services.arrange(job=first, place=Place(after=second))

    @pytest.mark.parametrize(
        ("state", "waits"),
        [("running", True), ("paused", True), ("queued", True), ("done", False),
         ("failed", False), ("interrupted", False)],
    )  # fmt: skip
    def test_after_another_job_waits_until_that_is_over(
        self, tiny: LocalModel, state: str, waits: bool
    ) -> None:
        job = make_job(tiny, after=make_job(tiny, state=state))
        assert bool(job.hindrance) is waits


def test_the_line_is_moved_over_rest(client: Client, three: list[TrainingJob | ModelJob]) -> None:
    last = three[2]
    url = f"/api/training/line/{last.kind_label}/{last.pk}/move"
    moved = client.post(url, {"by": -5}, content_type="application/json").json()
    assert moved["jobs"][0]["id"] == last.pk
    gone = client.post(
        "/api/training/line/training.trainingjob/4711/move",
        {"by": 1},
        content_type="application/json",
    )
    assert gone.status_code == 404


def test_the_status_bar_tells_the_job_at_work_and_how_many_wait(
    client: Client, tiny: LocalModel
) -> None:
    make_job(tiny, name="Busy", state="running", fraction=0.25)
    make_job(tiny)
    bar = text_of(client.get(reverse("system:status"), headers=HTMX))
    assert "Busy" in bar
    assert "25 %, 1 waiting" in bar
    TrainingJob.objects.filter(state="running").delete()
    assert "1 job waiting" in text_of(client.get(reverse("system:status"), headers=HTMX))
