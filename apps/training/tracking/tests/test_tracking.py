"""MLflow knows every run, each value once, whatever happens on the way."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_django.fixtures import Settings

from apps.jobs.models import JobState
from apps.models.models import Adapter, LocalModel
from apps.training.models import Metric, TrainingJob
from apps.training.tests.jobs import make_job
from apps.training.tracking import telling, writing
from apps.training.tracking.facts import POINTS_PER_CURVE
from apps.training.tracking.models import TrackedRun
from apps.training.tracking.store import Store, configured_store
from apps.training.tracking.tests.mlflow_server import MlflowServer, Refusal
from apps.training.tracking.writer import Teller

pytestmark = pytest.mark.django_db(transaction=True)

LOG_BATCH = "/api/2.0/mlflow/runs/log-batch"
POINTS = 2 * POINTS_PER_CURVE + 20
"""Of the training loss: more than is told at a time."""


@pytest.fixture
def job(db: None) -> TrainingJob:
    """A job that runs, with figures."""
    base = LocalModel.objects.create(
        slug="base", name="Base", digest="sha256:1", parameters=1, size_bytes=1, context_length=1
    )
    job = make_job(base, state=JobState.RUNNING, facts={"trainable": 12}, events_read=100)
    write_points(job, range(POINTS))
    return job


def write_points(job: TrainingJob, steps: range) -> None:
    for name in (Metric.Name.LOSS, Metric.Name.SECONDS):
        Metric.objects.bulk_create(
            Metric(job=job, name=name, step=step, value=step / 2) for step in steps
        )


@pytest.fixture
def server() -> Iterator[MlflowServer]:
    with MlflowServer().up() as server:
        yield server


@pytest.fixture
def store(server: MlflowServer, settings: Settings) -> Store:
    return use(server.url, settings)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the writer's process does is done in this one, where mlflow is imported once."""
    for name, value in writing.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    @contextmanager
    def in_this_process(store: Store) -> Iterator[writing.Writer]:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
        if store.folder is not None:
            store.folder.mkdir(parents=True, exist_ok=True)
        yield WriterHere(Teller(store.artifacts or None))

    monkeypatch.setattr(telling, "writer", in_this_process)


class WriterHere(writing.Writer):
    def __init__(self, teller: Teller) -> None:
        self._patience = 60.0
        self._teller = teller

    def _exchange(self, line: str, seconds: float) -> bytes:
        return self._teller.answer(line).encode()


def use(uri: str, settings: Settings) -> Store:
    changed = {"mlflow_tracking_uri": SecretStr(uri)}
    settings.HUB = settings.HUB.model_copy(update=changed)
    store = configured_store()
    assert store is not None
    return store


def told(store: Store) -> TrackedRun:
    """What is known of the only run after one round."""
    telling.bring_up(store, stops=threading.Event())
    return TrackedRun.objects.get()


def finish(job: TrainingJob, adapter_folder: Path) -> None:
    adapter_folder.mkdir()
    (adapter_folder / "adapters.safetensors").write_bytes(b"weights")
    (adapter_folder / "adapter_config.json").write_text("{}")
    job.adapter = Adapter.objects.create(
        base=job.base, slug="numbers", name="Numbers", path=str(adapter_folder), digest="sha256:2"
    )
    job.state, job.events_read = JobState.DONE, 200
    job.save()


@pytest.mark.usefixtures("here")
def test_a_server_is_told_everything_once(
    job: TrainingJob, server: MlflowServer, store: Store, tmp_path: Path
) -> None:
    assert told(store).error == ""
    run = server.only_run()
    assert (run["name"], run["status"]) == ("Numbers", "RUNNING")
    assert run["params"]["lora.rank"] == "2"
    assert run["tags"]["mlx_hub.job"] == str(job.pk)
    assert run["inputs"][0]["dataset"]["name"] == "folder"
    assert server.steps("loss") == list(range(POINTS))
    finish(job, tmp_path / "adapter")
    write_points(job, range(POINTS, POINTS + 3))
    assert told(store).knows(TrainingJob.objects.get())
    assert (run["status"], run["tags"]["mlx_hub.made"]) == ("FINISHED", "base:numbers")
    assert server.steps("loss") == list(range(POINTS + 3))
    names = {path.split("/artifacts/")[1]: data for path, data in server.files.items()}
    assert names["adapter/adapters.safetensors"] == b"weights"
    assert b"learning_rate" in names["lora.yaml"]
    asked = len(server.asked)
    told(store)
    assert len(server.asked) == asked, "nothing is new, and nothing is asked"


@pytest.mark.usefixtures("here")
def test_a_points_time_is_the_training_before_it(
    job: TrainingJob, server: MlflowServer, store: Store
) -> None:
    told(store)
    times = [each["timestamp"] for each in server.only_run()["history"] if each["key"] == "loss"]
    assert times[100] - times[0] == 50_000


@pytest.mark.usefixtures("here")
def test_what_was_taken_and_not_answered_is_not_told_again(
    job: TrainingJob, server: MlflowServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writing.Writer.ask

    def lose(self: writing.Writer, do: str, **values: object) -> object:
        answer = real(self, do, **values)
        if do == "values":
            monkeypatch.undo()
            raise writing.StoreUnreachable("The answer was lost.")
        return answer

    monkeypatch.setattr(writing.Writer, "ask", lose)
    run = told(store)
    assert run.error == "The answer was lost."
    assert run.under_way["loss"] == POINTS_PER_CURVE - 1
    told(store)
    assert server.steps("loss") == list(range(POINTS))
    assert server.steps("seconds") == list(range(POINTS))


@pytest.mark.usefixtures("here")
def test_a_run_that_was_made_and_not_answered_is_found_again(
    job: TrainingJob, server: MlflowServer, store: Store
) -> None:
    server.refuse["runs_log_batch"] = Refusal(503, "TEMPORARILY_UNAVAILABLE", "Not now")
    run = told(store)
    assert (run.run_id, len(server.runs)) == ("", 1)
    server.refuse.clear()
    told(store)
    assert len(server.runs) == 1


@pytest.mark.usefixtures("here")
def test_a_server_that_is_away_is_told_once_it_is_back(
    job: TrainingJob, settings: Settings
) -> None:
    server = MlflowServer()
    with server.up():
        store = use(server.url, settings)
    run = told(store)
    assert "can't be told" in run.error
    assert run.run_id == ""
    with server.up():
        assert told(store).error == ""
    assert server.steps("loss") == list(range(POINTS))


def test_a_server_that_is_slow_holds_nobody_up_for_ever(server: MlflowServer, store: Store) -> None:
    server.answers.clear()
    with writing.writer(store, start=0.2) as asked, pytest.raises(writing.StoreUnreachable):
        asked.ask("begin", experiment="x", key="k", name="n", start=0, tags={})
    server.answers.set()


@pytest.mark.usefixtures("here")
def test_a_run_that_is_refused_does_not_hold_up_the_others(
    job: TrainingJob, server: MlflowServer, store: Store
) -> None:
    told(store)
    server.refuse["runs_log_batch"] = Refusal(400, "INVALID_PARAMETER_VALUE", "The run is gone")
    TrainingJob.objects.update(events_read=200)
    run = told(store)
    assert "The run is gone" in run.error
    server.refuse.clear()
    assert "The run is gone" in told(store).error, "it is tried again an hour later"
    other = make_job(job.base, name="Other", state=JobState.QUEUED)
    telling.bring_up(store, stops=threading.Event())
    assert TrackedRun.objects.get(job=other).error == ""


def test_credentials_are_neither_kept_nor_told(
    job: TrainingJob, server: MlflowServer, settings: Settings
) -> None:
    store = use(f"http://kim:s3cret@127.0.0.1:{server.port}", settings)
    assert told(store).error == ""
    server.refuse["runs_log_batch"] = Refusal(400, "BAD_REQUEST", f"Not at {store.uri}")
    TrainingJob.objects.update(events_read=200)
    run = told(store)
    assert "s3cret" not in f"{run.store} {run.error} {settings.HUB!r}"
    assert any(each.startswith("Basic ") for each in server.authorization)


@pytest.mark.usefixtures("here")
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # mlflow's own query
def test_without_a_server_the_hub_keeps_a_store_of_its_own(
    job: TrainingJob, tmp_path: Path, data_folder: Path
) -> None:
    store = configured_store()
    assert store is not None
    assert told(store).error == ""
    finish(job, tmp_path / "adapter")
    run = told(store)
    assert run.knows(TrainingJob.objects.get())
    with sqlite3.connect(data_folder / "mlflow" / "mlflow.db") as database:
        (count,) = database.execute("select count(*) from metrics where key = 'loss'").fetchone()
        (status,) = database.execute("select status from runs").fetchone()
    database.close()
    assert (count, status) == (POINTS, "FINISHED")
    files = (data_folder / "mlflow" / "artifacts").rglob("adapters.safetensors")
    assert [file.read_bytes() for file in files] == [b"weights"]


def test_tracking_can_be_switched_off(settings: Settings) -> None:
    settings.HUB = settings.HUB.model_copy(update={"track_runs": False})
    assert configured_store() is None
