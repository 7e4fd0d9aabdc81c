"""The first rows of a dataset that is larger than anybody wants: from its order to its rows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.datasets import tasks as dataset_tasks
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.running import run as run_dataset_job
from apps.discovery.downloads import bringing, place
from apps.discovery.downloads.data_orders import Choice, start_data
from apps.discovery.downloads.errors import AlreadyOrdered
from apps.discovery.downloads.models import Download
from apps.discovery.tests.data_catalogue import lines, pairs, parquet
from apps.discovery.tests.downloading import run
from apps.discovery.tests.hub_server import HubServer
from apps.jobs.models import JobState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("woken")]

MANY = "acme/many"
TRAIN = [f"data/train-{number:05d}-of-00004.parquet" for number in range(4)]
TEST = [f"data/test-{number:05d}-of-00002.parquet" for number in range(2)]
LOGS = [f"{number}.jsonl" for number in range(3)]


@pytest.fixture(autouse=True)
def many(hub_server: HubServer, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """Shards of three rows each, of two splits in Parquet and of one in JSON Lines."""
    monkeypatch.setattr(dataset_tasks, "run_dataset_job", lambda key: None)
    shards = {name: parquet(pairs(3, 3 * at)) for at, name in enumerate(TRAIN)}
    shards |= {name: parquet(pairs(3, 100 + 3 * at)) for at, name in enumerate(TEST)}
    hub_server.add(f"datasets/{MANY}", shards)
    logs = {name: lines(pairs(3, 3 * at)) + b"not JSON\n" for at, name in enumerate(LOGS)}
    hub_server.add("datasets/acme/logs", logs)
    return hub_server


def order(rows: int | None, *splits: str, repo_id: str = MANY, name: str = "") -> Download:
    choice = Choice(splits=splits, rows=rows)
    ordered = start_data(repo_id=repo_id, choice=choice, name=name)
    assert ordered.download is not None
    return ordered.download


def imported(download: Download) -> DatasetVersion:
    assert run(download).error == ""
    for job in DatasetJob.objects.queued():
        run_dataset_job(job, stops=threading.Event())
        job.refresh_from_db()
        assert job.error == ""
    download.refresh_from_db()
    assert download.dataset is not None
    return Dataset.objects.named(download.dataset.slug).version(None)


def test_no_more_files_come_than_hold_the_rows(many: HubServer) -> None:
    download = order(5, "train")
    assert download.bytes_total == len(parquet(pairs(3)))

    version = imported(download)

    assert many.fetched() == [Path(name).name for name in TRAIN[:2]]
    assert (version.train_rows, version.test_rows) == (5, 0)
    assert list(version.files.values()) == pairs(5)
    assert [file["name"] for file in download.files] == TRAIN[:2]
    assert download.bytes_total == sum(file["size"] for file in download.files)
    origin = version.dataset.version(1).facts["origin"]
    assert origin["first_rows"] == 5
    assert "train, first 5 rows, at" in version.dataset.source


def test_each_split_has_its_own_first_rows(many: HubServer) -> None:
    version = imported(order(4))
    assert (version.train_rows, version.test_rows) == (4, 4)
    assert sorted(many.fetched()) == sorted(Path(name).name for name in TRAIN[:2] + TEST)


def test_where_there_are_fewer_rows_all_of_them_come(many: HubServer) -> None:
    version = imported(order(10_000))
    assert (version.train_rows, version.test_rows) == (12, 6)


def test_lines_that_can_not_be_read_are_no_rows(many: HubServer) -> None:
    version = imported(order(4, repo_id="acme/logs"))
    assert version.rows == 4
    assert many.fetched() == LOGS[:2]


def test_room_is_asked_for_the_files_that_come_for_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 3 * len(parquet(pairs(3)))

    monkeypatch.setattr(place.shutil, "disk_usage", lambda path: Usage)
    assert order(2, "train").state == JobState.QUEUED


def test_a_worker_that_is_killed_fetches_nothing_again(
    monkeypatch: pytest.MonkeyPatch, many: HubServer
) -> None:
    class Killed(BaseException):
        pass

    def die(**options: Any) -> None:
        raise Killed

    download = order(5, "train")
    with monkeypatch.context() as patch:
        patch.setattr(bringing, "order_import", die)
        with pytest.raises(Killed):
            run(download)
    many.served.clear()

    assert imported(download).rows == 5
    assert many.served == []


def test_another_number_of_rows_is_another_download() -> None:
    first = order(2, name="Some")
    again = start_data(repo_id=MANY, choice=Choice(rows=2), name="Some")
    assert (again.download, again.joined) == (first, True)
    with pytest.raises(AlreadyOrdered, match="Choose another name"):
        order(3, name="Some")
    assert order(3).slug != order(2).slug


class TestOrders:
    def test_over_rest(self) -> None:
        def ordered(rows: object) -> Any:
            body = {"repo_id": MANY, "splits": ["train"], "rows": rows}
            return Client().post("/api/downloads/datasets", body, "application/json")

        assert ordered(0).status_code == 400
        assert ordered(5).status_code == 201
        assert Download.objects.get().selection["first"]["rows"] == 5

    def test_on_the_page(self) -> None:
        page = Client().get("/discover/datasets/acme/many/").content.decode()
        assert "First rows of each split" in page
        form = {"config": "default", "split": ["train"], "rows": "no"}
        refused = Client().post("/discover/datasets/acme/many/import/", form)
        assert refused.status_code == 422
        assert "Enter a whole number" in refused.content.decode()
        Client().post("/discover/datasets/acme/many/import/", form | {"rows": "7"})
        assert Download.objects.get().selection["first"]["rows"] == 7
