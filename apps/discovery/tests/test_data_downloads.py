"""Datasets from the hub: from a repository's name to rows that a model can learn from."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from apps.datasets import tasks as dataset_tasks
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.running import run as run_dataset_job
from apps.discovery import errors
from apps.discovery.downloads import bringing, place, services
from apps.discovery.downloads.data_orders import Choice, start_data
from apps.discovery.downloads.errors import AlreadyOrdered
from apps.discovery.downloads.models import Download
from apps.discovery.tests.data_catalogue import (
    CHATS,
    PICTURES,
    SCRIPTED,
    WORDS,
    lines,
    pairs,
    stock_data,
)
from apps.discovery.tests.downloading import run
from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import HubServer
from apps.jobs.models import JobState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("woken")]


@pytest.fixture(autouse=True)
def data_hub(hub_server: HubServer, models_dir: Path) -> HubServer:
    stock_data(Catalogue(hub_server))
    return hub_server


@pytest.fixture(autouse=True)
def importing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The import jobs that a worker, which does not run here, was woken up for."""
    keys: list[int] = []
    monkeypatch.setattr(dataset_tasks, "run_dataset_job", keys.append)
    return keys


def order(repo_id: str, config: str = "", *splits: str, **options: str) -> Download:
    ordered = start_data(repo_id=repo_id, choice=Choice(config, splits), **options)
    assert ordered.download is not None
    return ordered.download


def imported(download: Download) -> DatasetVersion:
    """The version that comes of a download, once its import was run as well."""
    assert run(download).error == ""
    assert download.state == JobState.DONE
    for job in DatasetJob.objects.queued():
        run_dataset_job(job, stops=threading.Event())
        job.refresh_from_db()
        assert job.error == ""
    download.refresh_from_db()
    assert download.dataset is not None
    return Dataset.objects.named(download.dataset.slug).version(None)


def left_over() -> list[str]:
    """What lies in the data folder beside versions."""
    home = place.folder_of(Download(repo_type="dataset", slug="x")).parent
    uploads = home.parent / "uploads"
    waiting = [path.name for path in uploads.iterdir()] if uploads.exists() else []
    hidden = {path.name for path in home.iterdir() if path.name.startswith(".")}
    return sorted(hidden - {".gate"}) + waiting


def test_a_dataset_comes_with_its_splits_and_where_it_is_from(data_hub: HubServer) -> None:
    version = imported(order(WORDS))

    assert (version.train_rows, version.valid_rows, version.test_rows) == (8, 2, 0)
    assert version.files.at(0).value == pairs(1)[0]
    commit = data_hub.repos[f"datasets/{WORDS}"].commit
    assert version.dataset.name == "words"
    assert version.dataset.source == f"hf:{WORDS}:default/train, validation at {commit[:12]}"
    columns = version.dataset.version(1)
    assert columns.facts["origin"]["commit"] == commit
    assert columns.facts["origin"]["license"] == "mit"
    assert left_over() == []


def test_an_order_knows_files_and_bytes_before_a_byte_is_fetched(data_hub: HubServer) -> None:
    download = order(WORDS, "default", "validation", name="Few words")

    assert [file["name"] for file in download.files] == ["validation.jsonl"]
    assert download.bytes_total == len(lines(pairs(2, 100)))
    assert download.slug == "few-words"
    assert data_hub.fetched() == []
    # A validation split that is chosen alone is what there is to train on.
    version = imported(download)
    assert (version.train_rows, version.valid_rows) == (2, 0)
    assert version.dataset.name == "Few words"


def test_a_configuration_of_parquet_in_folders_is_brought(data_hub: HubServer) -> None:
    version = imported(order(CHATS, "small"))

    assert (version.train_rows, version.test_rows) == (3, 1)
    assert version.kind == "chat"
    assert data_hub.fetched() == [
        "train-00000-of-00001.parquet",
        "test-00000-of-00001.parquet",
    ]


def test_where_a_repository_has_no_rows_the_hubs_conversion_is_taken() -> None:
    version = imported(order(SCRIPTED))

    assert (version.train_rows, version.test_rows) == (4, 1)
    assert version.dataset.version(1).facts["origin"]["converted"] is True


@pytest.mark.parametrize(
    ("repo_id", "config", "split", "message"),
    [
        (CHATS, "", "", "Choose a configuration .* small, large"),
        (CHATS, "huge", "", "no configuration 'huge'"),
        (CHATS, "small", "dev", "no split 'dev'. There are: train_sft, test_sft"),
    ],
)
def test_a_part_that_is_not_there_is_told_with_those_that_are(
    repo_id: str, config: str, split: str, message: str
) -> None:
    with pytest.raises(errors.UnknownPart, match=message):
        order(repo_id, config, *filter(None, [split]))


def test_a_dataset_without_rows_or_that_is_not_there_is_told() -> None:
    with pytest.raises(errors.NoUsableRows, match="no rows that are read here"):
        order(PICTURES)
    with pytest.raises(errors.RepoNotFound, match="datasets/acme/nothing"):
        order("acme/nothing")


def test_a_gated_dataset_says_where_its_conditions_are(data_hub: HubServer) -> None:
    data_hub.gate(f"datasets/{WORDS}", status=401, message="Access is restricted.")
    download = run(order(WORDS))

    assert download.state == JobState.FAILED
    assert f"{data_hub.endpoint}/datasets/{WORDS}" in download.error
    assert not Dataset.objects.exists()


def test_offline_nothing_is_asked(settings: Any, data_hub: HubServer) -> None:
    settings.HUB = settings.HUB.model_copy(update={"hf_offline": True})
    with pytest.raises(errors.HubUnreachable, match="Offline mode"):
        order(WORDS)
    assert data_hub.requests == []


def test_what_would_not_fit_with_its_rows_is_not_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(lines(pairs(8))) + len(lines(pairs(2, 100)))
    monkeypatch.setattr(place.shutil, "disk_usage", lambda path: _Usage(3 * size - 1))
    with pytest.raises(errors.NotEnoughDisk, match="needs"):
        order(WORDS)


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_the_same_order_twice_is_one_download_and_another_needs_its_own_name(
    data_hub: HubServer,
) -> None:
    first = order(WORDS)
    again = start_data(repo_id=WORDS, choice=Choice())
    assert (again.download, again.joined) == (first, True)
    with pytest.raises(AlreadyOrdered, match="Choose another name"):
        order(CHATS, "small", name=first.slug)


def test_a_cancelled_download_leaves_nothing(data_hub: HubServer) -> None:
    download = order(WORDS)
    place.folder_of(download).mkdir(parents=True)
    (place.folder_of(download) / "train.jsonl").write_bytes(b"{}")

    services.cancel(download=download)

    assert left_over() == []
    assert not Dataset.objects.exists()


def test_a_broken_transfer_goes_on_in_mid_file(data_hub: HubServer, impatient: None) -> None:
    data_hub.repos[f"datasets/{WORDS}"].files["train.jsonl"] = lines(pairs(2000))
    with data_hub.cut_off("train.jsonl", after=10_000):
        stopped = run(order(WORDS))
    assert stopped.state == JobState.FAILED
    services.resume(download=stopped)

    version = imported(stopped)

    assert version.train_rows == 2000
    assert 0 < data_hub.starts("train.jsonl")[-1] <= 10_000


def test_a_worker_that_is_killed_before_it_ordered_the_import_fetches_nothing_again(
    monkeypatch: pytest.MonkeyPatch, data_hub: HubServer
) -> None:
    class Killed(BaseException):
        pass

    def die(**options: Any) -> None:
        raise Killed

    download = order(WORDS)
    with monkeypatch.context() as patch:
        patch.setattr(bringing, "order_import", die)
        with pytest.raises(Killed):
            run(download)
    data_hub.served.clear()

    version = imported(download)

    assert (version.rows, data_hub.served, left_over()) == (10, [], [])


def test_a_worker_that_is_killed_after_it_ordered_the_import_orders_no_other() -> None:
    download = run(order(WORDS))
    Download.objects.update(state=JobState.QUEUED)
    download.refresh_from_db()

    version = imported(download)

    assert version.rows == 10
    assert Dataset.objects.count() == 1
    assert left_over() == []
