"""Downloads: what a run tells and makes, and how it fails."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from apps.discovery.downloads import bringing, place, services, watching
from apps.discovery.tests.conftest import REPO, WEIGHTS
from apps.discovery.tests.downloading import (
    SLUG,
    WORK_OFF,
    interrupt_at,
    order,
    pull,
    run,
    visible,
)
from apps.discovery.tests.hub_server import Failure, HubServer
from apps.jobs.models import JobState

# A running job is written by a thread of its own.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("models_dir", "tiny_repo", "woken"),
]

usage = namedtuple("usage", "total used free")


def test_its_row_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float, dict[str, Any]]] = []
    download = order()

    def report(doing: str, fraction: float, **fields: Any) -> None:
        told.append((doing, fraction, fields))

    bringing.bring(download, report)

    stages = list(dict.fromkeys(doing for doing, _, _ in told))
    assert stages[0] == "downloading config.json (1 kB)"
    assert stages[-3:] == [
        "downloading model.safetensors (98 kB)",
        "checking model.safetensors (98 kB)",
        "computing the digest",
    ]
    assert all(0 <= fraction <= 1 for _, fraction, _ in told)
    counts = [fields["bytes_done"] for _, _, fields in told]
    assert counts == sorted(counts)
    assert counts[-1] == download.bytes_total


@pytest.mark.usefixtures("impatient")
def test_a_body_that_breaks_off_is_gone_on_with(hub_server: HubServer) -> None:
    hub_server.fail(WEIGHTS, Failure(500), Failure(503), Failure(429))

    assert pull().state == JobState.DONE
    assert hub_server.starts(WEIGHTS) == [0]


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_keeps_breaking_is_given_up_and_can_be_resumed(
    hub_server: HubServer, models_dir: Path
) -> None:
    with hub_server.cut_off(WEIGHTS, after=50_000):
        download = pull()

    assert download.state == JobState.FAILED
    assert "goes on from where it stopped" in download.error
    # One try brought bytes, and then as many as may fail in a row did not.
    assert len(hub_server.starts(WEIGHTS)) == watching.TRIES
    assert visible(models_dir) == {f".{SLUG}.partial"}
    hub_server.served.clear()

    services.resume(download=download)
    assert run(download).state == JobState.DONE
    assert hub_server.starts(WEIGHTS)[0] > 40_000
    assert visible(models_dir) == {SLUG}


def test_while_it_waits_for_the_next_try_it_says_so(
    monkeypatch: pytest.MonkeyPatch, hub_server: HubServer
) -> None:
    waits: list[str] = []

    def report(doing: str, fraction: float, **fields: Any) -> None:
        if "Try" in doing:
            waits.append(doing)
            raise control_ends

    control_ends = KeyboardInterrupt()
    hub_server.fail(WEIGHTS, Failure(429, {"Retry-After": "90"}))
    with pytest.raises(KeyboardInterrupt):
        bringing.bring(order(), report)

    assert waits == [
        f"{hub_server.endpoint} answered with status 429: too many requests came from here. Try 2 of 8 in 90 s"
    ]


@pytest.mark.usefixtures("impatient")
def test_damaged_content_is_fetched_once_more_and_then_refused(hub_server: HubServer) -> None:
    hub_server.forged[WEIGHTS] = bytes(len(hub_server.repos[REPO].files[WEIGHTS]))

    download = pull()

    assert download.state == JobState.FAILED
    assert "arrived damaged" in download.error
    assert hub_server.starts(WEIGHTS) == [0, 0]


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (401, "Access is restricted. Please log in.", "make an access token"),
        (403, "You are not in the authorized list.", "has not accepted its conditions"),
        (403, "Your request is awaiting a review.", "waits for its authors"),
        (403, "Your request has been rejected.", "refused your request"),
    ],
)
def test_a_gate_fails_it_at_once_with_what_to_do(
    status: int, message: str, told: str, hub_server: HubServer
) -> None:
    hub_server.gate(REPO, status=status, message=message)

    download = pull()

    assert download.state == JobState.FAILED
    assert told in download.error
    assert hub_server.fetched() == ["config.json"]


def test_a_disk_that_fills_up_meanwhile_ends_it_above_the_floor(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = order()
    monkeypatch.setattr(watching, "FLOOR_EVERY", 0.0)
    monkeypatch.setattr(place, "FREE_FLOOR_BYTES", 10)
    frees = iter([10**9, 10**9, 10**9])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, next(frees, 9)))

    run(download)

    assert download.state == JobState.FAILED
    assert "left on the disk" in download.error
    assert visible(models_dir) == {f".{SLUG}.partial"}


def test_files_that_are_no_model_after_all_are_removed(
    models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]
) -> None:
    hub_server.add("acme/wrong", tiny_files | {"config.json": b'{"hello": "world"}'})

    download = pull("acme/wrong")

    assert download.state == JobState.FAILED
    assert "model_type" in download.error
    assert visible(models_dir) == set()


def test_a_failure_that_nobody_foresaw_fails_it_and_not_those_behind_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = order(), order(slug="copy")
    interrupt_at(monkeypatch, 0.5, RuntimeError("a bug"))

    WORK_OFF()

    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.state, fine.state) == (JobState.FAILED, JobState.DONE)
    assert "a bug" in caplog.text
