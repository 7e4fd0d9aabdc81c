"""What is on this machine becomes a model of the registry, by a job or at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from apps.jobs import control
from apps.jobs.conduct import JobEnds, conduct
from apps.jobs.models import JobState
from apps.models.errors import InvalidName, NameTaken
from apps.models.found.scan import Places
from apps.models.found.tests.stores import gguf_file, hf_repository, ollama_model
from apps.models.importing import orders
from apps.models.importing.orders import import_model, order_for
from apps.models.models import LocalModel
from apps.models.runtime.errors import ModelFormatError
from apps.models.work import tasks
from apps.models.work.kinds import EXPECTED
from apps.models.work.models import ModelJob
from tests.registry import make_model

pytestmark = pytest.mark.django_db


def silent(stage: str, fraction: float) -> None:
    pass


def conducted(job: ModelJob) -> ModelJob:
    """The job after a worker did it."""
    conduct(
        job,
        lambda report: import_model(job, report),
        expected=EXPECTED,
        worker_stops=threading.Event(),
    )
    return job


class TestOrders:
    def test_a_folder_and_a_file_are_called_as_they_are(self, folder: Path, gguf: Path) -> None:
        assert (order_for(folder).slug, order_for(folder).name) == ("mine", "mine")
        assert (order_for(gguf).slug, order_for(gguf).name) == ("tiny", "tiny")

    def test_a_snapshot_of_the_cache_is_called_as_its_repository(self, where: Places) -> None:
        order = order_for(hf_repository(where.hf_cache, "mlx-community/Qwen3-4bit"))

        assert (order.slug, order.name) == ("qwen3-4bit", "Qwen3-4bit")

    def test_a_name_that_is_given_counts(self, folder: Path) -> None:
        order = order_for(folder, " My Model: 1b ")

        assert (order.slug, order.name) == ("my-model-1b", "My Model: 1b")

    @pytest.mark.parametrize("name", ["../../escape", "/etc/passwd", "a/../../b", ".hidden"])
    def test_no_name_leaves_the_models_folder(self, folder: Path, name: str) -> None:
        slug = order_for(folder, name).slug

        assert "/" not in slug
        assert not slug.startswith(".")

    @pytest.mark.parametrize("name", ["..", "///", "\x00", "日本"])
    def test_a_name_that_nothing_is_left_of_is_refused(self, folder: Path, name: str) -> None:
        with pytest.raises(InvalidName, match="can't be a model's name"):
            order_for(folder, name)

    def test_a_name_that_is_taken_is_refused(self, folder: Path) -> None:
        make_model("mine")

        with pytest.raises(NameTaken):
            order_for(folder)

    def test_a_folder_of_several_models_asks_for_one(self, folder: Path, gguf: Path) -> None:
        with pytest.raises(ModelFormatError, match="There are 2 models"):
            order_for(folder.parent)

    def test_a_folder_of_none_says_what_it_lacks(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()

        with pytest.raises(ModelFormatError, match="no GGUF file, and no folder"):
            order_for(tmp_path / "empty")

    def test_what_can_not_be_imported_is_refused_with_its_reason(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFormatError, match="'mamba'"):
            order_for(gguf_file(tmp_path / "x.gguf", architecture="mamba"))


class TestRun:
    def test_a_folder_stays_where_it_is(self, folder: Path) -> None:
        model = orders.run(order_for(folder), silent)

        assert Path(model.path) == folder
        assert model.source == LocalModel.Source.FOLDER

    def test_a_cached_repository_stays_and_is_known_by_its_repository(self, where: Places) -> None:
        snapshot = hf_repository(where.hf_cache, "a/b")

        model = orders.run(order_for(snapshot), silent)

        assert (Path(model.path), model.repo_id) == (snapshot, "a/b")
        assert model.source == LocalModel.Source.HF_CACHE
        assert LocalModel.objects.named("a/b").get() == model

    def test_a_model_of_ollama_becomes_a_copy_and_its_blob_stays(self, where: Places) -> None:
        blob = ollama_model(where.ollama)
        before = blob.read_bytes()

        model = orders.run(order_for(blob, "tiny:1b"), silent)

        assert (model.slug, model.name, model.source) == (
            "tiny-1b", "tiny:1b", LocalModel.Source.OLLAMA,
        )  # fmt: skip
        assert blob.read_bytes() == before
        assert Path(model.path).parent != blob.parent


class TestJobs:
    @pytest.fixture(autouse=True)
    def woken(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        woken: list[int] = []
        monkeypatch.setattr(tasks, "run_model_job", woken.append)
        return woken

    def test_an_import_is_queued_once_and_wakes_a_worker(
        self, folder: Path, woken: list[int], django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            job = orders.start(order=order_for(folder))
            again = orders.start(order=order_for(folder))

        assert job == again
        assert woken == [job.pk]
        assert (job.kind, job.subject) == (ModelJob.Kind.IMPORT, "mine")

    def test_its_row_names_the_model_it_made(self, gguf: Path) -> None:
        job = conducted(orders.start(order=order_for(gguf)))

        assert job.state == JobState.DONE
        assert job.result == LocalModel.objects.get(slug="tiny")

    def test_a_damaged_file_fails_with_its_reason_and_leaves_nothing(
        self, gguf: Path, where: Places, tmp_path: Path
    ) -> None:
        job = orders.start(order=order_for(gguf))
        gguf.write_bytes(gguf.read_bytes()[:-4])

        conducted(job)

        assert job.state == JobState.FAILED
        assert "cut short" in job.error
        assert not LocalModel.objects.exists()
        assert {p.name for p in (tmp_path / "hub" / "models").iterdir()} <= {".tiny.lock"}

    def test_a_cancelled_import_leaves_nothing(self, gguf: Path, tmp_path: Path) -> None:
        job = orders.start(order=order_for(gguf))

        def cancelled(stage: str, fraction: float) -> None:
            if stage == "converting weights":
                raise JobEnds(JobState.CANCELLED)

        with pytest.raises(JobEnds):
            import_model(job, cancelled)

        assert not LocalModel.objects.exists()
        assert {p.name for p in (tmp_path / "hub" / "models").iterdir()} <= {".tiny.lock"}

    def test_a_queued_import_that_is_cancelled_never_runs(self, gguf: Path) -> None:
        job = orders.start(order=order_for(gguf))
        control.cancel(job)

        conducted(job)

        assert job.state == JobState.CANCELLED
        assert not LocalModel.objects.exists()
