"""A run from its claim to its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from apps.inference.benchmarks import conduct as conduct_module
from apps.inference.benchmarks import services, tasks
from apps.inference.benchmarks.conduct import OWN_KEY, AnotherRuns, conduct, settle_runs
from apps.inference.benchmarks.measuring.figures import Figures
from apps.inference.benchmarks.measuring.tests.scripted import ScriptedServer
from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.engine.protocol import ResetPeakMemory
from apps.inference.keys.errors import KeyInvalid
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import recognise
from apps.inference.models import BenchmarkRun
from apps.jobs import conduct as jobs
from apps.jobs.models import SILENT_AFTER
from tests.fake_engine import FakeEngine

# A running job is written by a thread of its own.
pytestmark = pytest.mark.django_db(transaction=True)

Put = Callable[..., ScriptedServer]
State = BenchmarkRun.State


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conduct_module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.01)


def test_a_run_on_this_hub_ends_with_its_figures_and_the_machines_facts(
    measured_server: Put, addresses: list[dict[str, Any]], fake_engine: FakeEngine
) -> None:
    measured_server()
    run = make_run("queued")

    conduct(worker_stops=threading.Event(), run=run)

    run.refresh_from_db()
    assert run.state == State.DONE
    assert (run.steps_done, run.error) == (run.steps_total, "")
    assert len(Figures.model_validate(run.figures).throughput) == 2
    assert run.peak_memory_bytes == 2_000_000
    assert run.machine["accelerator"] == "Test CPU"
    assert run.finished_at is not None
    assert len(fake_engine.calls_of(ResetPeakMemory)) == 1
    assert addresses == [{"url": "http://127.0.0.1:8080/v1", "model": "tiny", "api_key": None}]


def test_a_run_on_another_server_asks_no_engine_and_keeps_no_key(
    measured_server: Put, addresses: list[dict[str, Any]], fake_engine: FakeEngine
) -> None:
    measured_server()
    run = make_run("queued", base_url="http://other.test/v1")

    conduct(worker_stops=threading.Event(), run=run, api_key="secret")

    run.refresh_from_db()
    assert run.state == State.DONE
    assert run.peak_memory_bytes is None
    assert fake_engine.calls == []
    assert addresses[0] == {"url": "http://other.test/v1", "model": "tiny", "api_key": "secret"}
    assert "secret" not in str(BenchmarkRun.objects.values().get(pk=run.pk))


def test_a_hub_that_asks_for_keys_is_called_with_one_of_its_own(
    measured_server: Put,
    addresses: list[dict[str, Any]],
    fake_engine: FakeEngine,
    settings: Any,
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"require_keys": True})
    measured_server()
    for _ in range(2):
        conduct(worker_stops=threading.Event(), run=make_run("queued"))

    first, second = (each["api_key"] for each in addresses)
    assert first != second
    assert ApiKey.objects.get().name == OWN_KEY
    with pytest.raises(KeyInvalid, match="was revoked"):
        recognise(second)
    with pytest.raises(KeyInvalid, match="not one of this hub's"):
        recognise(first)


def test_a_key_that_was_given_goes_before_the_hubs_own(
    measured_server: Put, addresses: list[dict[str, Any]], fake_engine: FakeEngine, settings: Any
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"require_keys": True})
    measured_server()
    conduct(worker_stops=threading.Event(), run=make_run("queued"), api_key="given")
    assert addresses[0]["api_key"] == "given"
    assert not ApiKey.objects.exists()


def test_an_engine_that_is_down_costs_only_the_facts(
    measured_server: Put, fake_engine: FakeEngine
) -> None:
    fake_engine.stop()
    measured_server()
    run = make_run("queued")

    conduct(worker_stops=threading.Event(), run=run)

    assert run.state == State.DONE
    assert run.peak_memory_bytes is None
    assert "accelerator" not in run.machine


def test_a_server_that_refuses_makes_the_run_fail_with_its_reason(
    measured_server: Put, fake_engine: FakeEngine
) -> None:
    measured_server(lambda body: httpx2.Response(404, json={"error": {"message": "No model m."}}))
    run = make_run("queued")

    conduct(worker_stops=threading.Event(), run=run)

    assert run.state == State.FAILED
    assert "answered 404: No model m." in run.error


@pytest.mark.parametrize(
    ("base_url", "state"), [("", State.INTERRUPTED), ("http://other.test/v1", State.FAILED)]
)
def test_a_hub_that_goes_away_interrupts_its_run_and_another_server_fails_it(
    measured_server: Put, fake_engine: FakeEngine, base_url: str, state: str
) -> None:
    def leave(body: dict[str, Any]) -> None:
        raise httpx2.RemoteProtocolError("peer closed connection")

    measured_server(leave)
    run = make_run("queued", base_url=base_url)

    conduct(worker_stops=threading.Event(), run=run)

    assert run.state == state
    assert run.error


def test_an_error_nobody_foresaw_is_raised_and_leaves_no_run_running(
    measured_server: Put, fake_engine: FakeEngine
) -> None:
    def fail(body: dict[str, Any]) -> None:
        raise RuntimeError("boom")

    measured_server(fail)
    run = make_run("queued")

    with pytest.raises(RuntimeError):
        conduct(worker_stops=threading.Event(), run=run)

    run.refresh_from_db()
    assert run.state == State.FAILED


async def nothing() -> None:
    """What happens in the middle of most answers."""


def hanging(
    meanwhile: Callable[[], Awaitable[None]] = nothing,
) -> Callable[[dict[str, Any]], httpx2.Response]:
    """A server that begins its answer and never goes on."""

    async def content() -> Any:
        yield b'data: {"choices": []}\n\n'
        await meanwhile()
        await asyncio.Event().wait()

    headers = {"content-type": "text/event-stream"}
    return lambda body: httpx2.Response(200, headers=headers, content=content())


def test_a_cancelled_run_ends_in_the_middle_of_an_answer(
    measured_server: Put, fake_engine: FakeEngine
) -> None:
    run = make_run("queued")
    row = BenchmarkRun.objects.get(pk=run.pk)
    measured_server(hanging(sync_to_async(lambda: services.cancel(run=row))))

    conduct(worker_stops=threading.Event(), run=run)

    assert run.state == State.CANCELLED
    assert run.doing == "Loading the model"


def test_a_worker_that_stops_leaves_its_run_interrupted(
    measured_server: Put, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_server(hanging())
    run = make_run("queued")
    stops = threading.Event()
    stops.set()
    monkeypatch.setattr(tasks, "worker_stops", stops)

    tasks.run_benchmark.call_local(run.pk)

    run.refresh_from_db()
    assert run.state == State.INTERRUPTED
    assert "The hub was stopped" in run.error


@pytest.mark.parametrize("state", ["running", "done", "cancelled"])
def test_a_run_that_is_no_longer_queued_is_left_alone(measured_server: Put, state: str) -> None:
    scripted = measured_server()
    run = make_run(state)

    conduct(worker_stops=threading.Event(), run=run)

    assert run.state == state
    assert scripted.requests == []


def test_two_runs_never_measure_each_other(measured_server: Put) -> None:
    measured_server()
    make_run("running")
    waiting = make_run("queued")

    with pytest.raises(AnotherRuns, match="is running"):
        conduct(worker_stops=threading.Event(), run=waiting)
    tasks.run_benchmark.call_local(waiting.pk)

    waiting.refresh_from_db()
    assert waiting.state == State.QUEUED


def test_the_end_of_a_run_wakes_the_next_one_up(
    measured_server: Put, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_server()
    first, second = make_run("queued"), make_run("queued")
    run_benchmark, woken = tasks.run_benchmark, list[int]()
    monkeypatch.setattr(tasks, "run_benchmark", woken.append)

    run_benchmark.call_local(first.pk)

    assert woken == [second.pk]


def test_a_run_deleted_while_it_waited_is_no_error() -> None:
    tasks.run_benchmark.call_local(4711)


# --- runs whose process is gone ---------------------------------------------------


def test_a_silent_run_is_interrupted_and_a_live_one_is_not() -> None:
    long_ago = timezone.now() - SILENT_AFTER - timedelta(seconds=1)
    silent = make_run("running", seen_at=long_ago)

    assert settle_runs() == 1
    live = make_run("running")
    tasks.look_after_benchmarks.call_local()

    silent.refresh_from_db()
    live.refresh_from_db()
    assert silent.state == State.INTERRUPTED
    assert "Start the benchmark again" in silent.error
    assert live.state == State.RUNNING


def test_a_silent_run_does_not_hold_up_the_next_one(
    measured_server: Put, fake_engine: FakeEngine
) -> None:
    measured_server()
    make_run("running", seen_at=timezone.now() - SILENT_AFTER * 2)
    run = make_run("queued")

    conduct(worker_stops=threading.Event(), run=run)

    assert run.state == State.DONE


def test_a_new_worker_takes_up_what_was_queued(queued: list[int]) -> None:
    first, second = make_run("queued"), make_run("queued")
    make_run("done")

    tasks.take_up_benchmarks()

    assert queued == [first.pk, second.pk]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/v1"),
        ("0.0.0.0", "http://127.0.0.1:8080/v1"),
        ("::", "http://[::1]:8080/v1"),
        ("192.168.1.5", "http://192.168.1.5:8080/v1"),
    ],
)
def test_the_hub_is_measured_where_it_listens(settings: Any, host: str, url: str) -> None:
    settings.HUB = settings.HUB.model_copy(update={"host": host, "port": 8080})
    assert conduct_module.own_url() == url
