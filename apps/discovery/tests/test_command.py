"""The pull command: what a person sees."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.discovery.downloads import following
from apps.discovery.downloads.following import Shown, _lines
from apps.discovery.downloads.models import Download
from apps.discovery.management.commands import pull
from apps.discovery.tests.conftest import REPO
from apps.discovery.tests.downloading import order, run
from apps.discovery.tests.hub_server import HubServer
from apps.jobs.models import JobState
from apps.models.models import LocalModel

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("woken")]


@pytest.fixture(autouse=True)
def tiny(models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add(REPO, tiny_files)


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "last_beat_age", lambda: None)
    monkeypatch.setattr(following, "LOOK_EVERY", 0.0)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lives, and has done what waits by the time the command looks again."""
    monkeypatch.setattr(following, "last_beat_age", lambda: 1.0)

    def works(seconds: float) -> None:
        for download in Download.objects.queued():
            run(download)

    monkeypatch.setattr("apps.discovery.downloads.following.time.sleep", works)


def call(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("pull", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_without_a_worker_it_is_done_here_with_a_line_for_each_stage() -> None:
    lines = call(REPO)

    assert "  downloading model.safetensors (98 kB)" in lines
    assert lines[-1] == "Tiny-Llama is ready (tiny-llama)."
    assert Download.objects.get().state == JobState.DONE


@pytest.mark.usefixtures("worker")
def test_a_worker_does_it_where_there_is_one() -> None:
    lines = call(REPO)

    assert "  Waits for the worker, or for the downloads before it" in lines
    assert lines[-1] == "Tiny-Llama is ready (tiny-llama)."


def test_it_can_be_left_to_the_worker() -> None:
    assert call(REPO, "--detach") == [
        f"{REPO} (104 kB) is in the queue; the worker begins when the hub is up (`mlx-hub up`)."
    ]
    assert Download.objects.get().state == JobState.QUEUED
    assert not LocalModel.objects.exists()


def test_one_that_is_on_its_way_is_gone_on_with() -> None:
    order()

    lines = call(REPO)

    assert lines[0] == f"{REPO} is on its way already."
    assert lines[-1] == "Tiny-Llama is ready (tiny-llama)."
    assert Download.objects.count() == 1


def test_a_second_pull_says_that_the_model_is_here() -> None:
    call(REPO, "--name", "tiny")

    assert call(REPO) == [f"{REPO} is here already, as tiny."]


def test_a_failure_is_one_plain_sentence(hub_server: HubServer) -> None:
    with pytest.raises(CommandError, match="acme/nothing is not on"):
        call("acme/nothing")
    hub_server.gate(REPO, status=403, message="You are not in the authorized list.")
    with pytest.raises(CommandError, match="has not accepted its conditions"):
        call(REPO)


@pytest.mark.parametrize(
    ("age", "left"), [(None, "The same command goes on"), (1.0, "The worker goes on with it")]
)
def test_ctrl_c_says_who_goes_on(
    age: float | None, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(download: Download, show: Shown) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(following, "last_beat_age", lambda: age)
    monkeypatch.setattr(pull, "follow", interrupted)
    with pytest.raises(CommandError, match=left):
        call(REPO)


def test_ctrl_c_without_a_worker_pauses_it_with_what_has_come(
    monkeypatch: pytest.MonkeyPatch, hub_server: HubServer
) -> None:
    def interrupt(stdout: object) -> Shown:
        def show(doing: str, done: int) -> None:
            if done > 60_000:
                raise KeyboardInterrupt

        return show

    with monkeypatch.context() as patch:
        patch.setattr(following, "_lines", interrupt)
        with pytest.raises(CommandError, match="goes on from here"):
            call(REPO)
    assert Download.objects.get().state == JobState.PAUSED
    hub_server.served.clear()

    assert call(REPO)[-1] == "Tiny-Llama is ready (tiny-llama)."
    assert hub_server.starts("model.safetensors")[0] > 40_000


def test_a_wait_is_one_line_however_long_it_is() -> None:
    out = StringIO()
    show = _lines(out)  # type: ignore[arg-type]
    for left in range(9, 0, -1):
        show(f"The hub is busy. Try 2 of 8 in {left} s", 10)

    assert out.getvalue() == "  The hub is busy. Try 2 of 8 in 9 s"
