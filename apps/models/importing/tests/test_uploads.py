"""A file from a browser arrives in pieces; what is no GGUF file goes no further than one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse

from apps.models.landing import FREE_FLOOR_BYTES
from apps.models.models import LocalModel
from apps.models.work.models import ModelJob
from apps.uploads import pieces

pytestmark = pytest.mark.django_db

BEGIN = reverse("models:import_upload")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(pieces, "CHUNK_BYTES", 32_768)
    return 32_768


def begin(client: Client, name: str, size: int) -> Any:
    return client.post(BEGIN, {"name": name, "size": size})


def send(client: Client, url: str, offset: object, piece: bytes) -> Any:
    address = f"{url}?offset={offset}"
    return client.post(address, piece, content_type="application/octet-stream")


def send_all(client: Client, content: bytes, name: str = "tiny.gguf") -> Any:
    """The answer to the last piece, or to the first that is refused."""
    opened = begin(client, name, len(content)).json()
    step = opened["chunk_bytes"]
    for offset in range(0, len(content), step):
        answer = send(client, opened["url"], offset, content[offset : offset + step])
        if "error" in answer.json():
            break
    return answer


def stored(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "hub" / "uploads").rglob("*") if path.is_file()]


def test_a_whole_file_becomes_an_import_that_removes_it(
    client: Client, gguf: Path, tmp_path: Path
) -> None:
    answer = send_all(client, gguf.read_bytes(), "My Tiny.gguf")

    assert answer.json()["done"].endswith("#jobs")
    job = ModelJob.objects.get()
    (file,) = stored(tmp_path)
    assert job.plan == {
        "path": str(file), "slug": "my-tiny", "name": "My Tiny", "uploaded": True,
    }  # fmt: skip
    assert file.read_bytes() == gguf.read_bytes()


def test_the_import_of_an_upload_ends_without_a_copy_left(
    client: Client, gguf: Path, tmp_path: Path
) -> None:
    from apps.models.importing.orders import import_model

    send_all(client, gguf.read_bytes())
    import_model(ModelJob.objects.get(), lambda stage, fraction: None)

    assert LocalModel.objects.get().slug == "tiny"
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["../../../evil.gguf", "..\\..\\evil.gguf", "/etc/cron.d/evil.gguf", "evil.gguf"]
)
def test_a_name_with_folders_in_it_is_only_a_name(
    client: Client, gguf: Path, tmp_path: Path, name: str
) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}

    send_all(client, gguf.read_bytes(), name)

    assert ModelJob.objects.get().plan["slug"] == "evil"
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert [path.name for path in new] == ["evil.gguf"]
    assert {path.parent.parent for path in new} == {tmp_path / "hub" / "uploads"}


def test_a_file_that_is_no_gguf_file_is_refused_at_its_first_piece(
    client: Client, tmp_path: Path
) -> None:
    opened = begin(client, "x.gguf", 10**9).json()

    answer = send(client, opened["url"], 0, b"MZ" + bytes(1000))

    assert answer.json()["error"].startswith("x.gguf is not a GGUF file")
    assert stored(tmp_path) == []


def test_a_lost_answer_is_made_up_for_by_asking_where_the_file_ends(
    client: Client, gguf: Path
) -> None:
    content = gguf.read_bytes()
    opened = begin(client, "tiny.gguf", len(content)).json()
    step = opened["chunk_bytes"]
    send(client, opened["url"], 0, content[:step])

    again = send(client, opened["url"], 0, content[:step])

    assert again.json() == {"received": step}
    assert "error" not in send(client, opened["url"], step, content[step : 2 * step]).json()


@pytest.mark.parametrize("offset", ["-1", "x", "", "1e3"])
def test_an_offset_that_is_no_number_is_refused(client: Client, offset: str) -> None:
    opened = begin(client, "tiny.gguf", 100).json()

    assert "error" in send(client, opened["url"], offset, b"GGUF").json()


def test_pieces_may_not_be_larger_than_agreed_nor_go_past_the_end(
    client: Client, gguf: Path, small_pieces: int, tmp_path: Path
) -> None:
    opened = begin(client, "tiny.gguf", 100).json()

    assert (
        "can't be taken" in send(client, opened["url"], 0, bytes(small_pieces + 1)).json()["error"]
    )
    assert "changed" in send(client, opened["url"], 0, gguf.read_bytes()[:101]).json()["error"]
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    "token",
    ["x", "a:b:c", signing.dumps({"id": "../../x"})],
    ids=["short", "unsigned", "for another use"],
)
def test_an_address_that_was_not_given_out_is_refused(client: Client, token: str) -> None:
    url = reverse("models:import_piece", args=[token])

    answer = send(client, url, 0, b"GGUF")

    assert "too old" in answer.json()["error"]


@pytest.mark.parametrize("size", [0, 2**60, -1, "x"])
def test_a_size_that_can_not_be_is_refused_before_anything_is_sent(
    client: Client, size: Any
) -> None:
    assert "error" in begin(client, "x.gguf", size).json()


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_anything_is_sent(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=FREE_FLOOR_BYTES + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    answer = begin(client, "x.gguf", 501)

    assert "Make room" in answer.json()["error"]


def test_what_nobody_goes_on_with_is_removed_after_a_day(
    client: Client, gguf: Path, tmp_path: Path
) -> None:
    send_all(client, gguf.read_bytes())
    (wanted,) = stored(tmp_path)
    folders = wanted.parent.parent
    abandoned, young = folders / "model-old" / "x.gguf", folders / "model-young" / "x.gguf"
    for file in (abandoned, young):
        file.parent.mkdir()
        file.touch()
    for file in (abandoned, wanted):
        os.utime(file, (time.time() - pieces.KEPT_SECONDS - 60,) * 2)

    begin(client, "x.gguf", 10)

    assert sorted(stored(tmp_path)) == sorted([wanted, young])


@pytest.mark.parametrize("offset", ["", "-1", "x", "9" * 5000])
def test_a_piece_without_a_place_is_refused(client: Client, offset: str) -> None:
    opened = begin(client, "a.gguf", 100).json()

    assert "can't be taken" in send(client, opened["url"], offset, b"GGUF").json()["error"]


def test_a_piece_of_no_stated_length_is_not_read(client: Client, tmp_path: Path) -> None:
    opened = begin(client, "a.gguf", 100).json()

    answer = client.generic("POST", f"{opened['url']}?offset=0", b"GGUF", CONTENT_LENGTH="")

    assert "can't be taken" in answer.json()["error"]
    assert stored(tmp_path) == []
