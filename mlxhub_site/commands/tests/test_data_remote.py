"""Every data command against another hub: a real server, a key, files sent in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.datasets import tasks as dataset_tasks
from apps.datasets import uploads
from apps.datasets.models import Dataset
from apps.discovery.downloads import tasks as download_tasks
from apps.discovery.tests.conftest import hub_server, models_dir, small_floor
from apps.discovery.tests.data_catalogue import WORDS, stock_data
from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import HubServer
from apps.inference.keys.services import create_key
from apps.playground.models import Conversation, Message
from apps.uploads import pieces
from mlxhub_site.cli import app
from mlxhub_site.commands import data_export, data_sending
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.outcome import Unreachable
from mlxhub_site.commands.tests.test_remote import served

__all__ = ["hub_server", "models_dir", "small_floor"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # WhiteNoise misses the collected files, which nobody asks for here.
    pytest.mark.filterwarnings("ignore:No directory at"),
]

ROWS = """prompt,completion
Define tide.,The rise and fall of the sea. Write to sea@example.org.
Define reef.,Rock close under the water.
Define mast.,The pole that carries the sails.
Define mast.,The pole that carries the sails.
"""


@pytest.fixture(autouse=True)
def other_hub(
    models_dir: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A hub that takes no call without its key; jobs are done as they are ordered."""
    settings.HUB = settings.HUB.model_copy(update={"require_keys": True})
    monkeypatch.setattr(dataset_tasks, "run_dataset_job", dataset_tasks.run_dataset_job.call_local)
    monkeypatch.setattr(
        download_tasks, "work_off_downloads", download_tasks.work_off_downloads.call_local
    )
    _, key = create_key(name="laptop", may_manage=True)
    with served() as url:
        monkeypatch.setenv("MLXHUB_URL", url)
        monkeypatch.setenv("MLXHUB_API_KEY", key)
        yield


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments])


def told(*arguments: str) -> str:
    """What a command that works prints."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def words(tmp_path: Path) -> str:
    path = tmp_path / "words.csv"
    path.write_text(ROWS)
    assert told("import", str(path)) == ("words: 4 rows. Recognised as Prompts and completions.\n")
    return "words"


class TestImport:
    def test_a_file_is_sent_in_pieces(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pieces, "CHUNK_BYTES", 64)
        offsets: list[int] = []
        append = uploads.PLACE.append

        def noted(place: object, upload: pieces.Upload, offset: int, piece: bytes) -> None:
            offsets.append(offset)
            append(upload, offset, piece)

        monkeypatch.setattr(pieces.UploadPlace, "append", noted)
        path = tmp_path / "words.csv"
        path.write_text(ROWS)
        assert told("import", str(path), "--name", "My words").startswith("my-words: 4 rows.")
        assert offsets == list(range(0, len(ROWS), 64))

    def test_a_folder_keeps_its_splits(self, tmp_path: Path) -> None:
        folder = tmp_path / "sea"
        folder.mkdir()
        row = '{"prompt": "Tide?", "completion": "Sea %s."}\n'
        (folder / "train.jsonl").write_text("".join(row % number for number in range(3)))
        (folder / "valid.jsonl").write_text(row % 9)
        (folder / "notes.pdf").write_text("not rows")
        assert told("import", str(folder)).startswith("sea: 4 rows.")
        version = Dataset.objects.named("sea").version(None)
        assert (version.train_rows, version.valid_rows) == (3, 1)

    def test_a_dataset_on_hugging_face_is_fetched_by_that_hub(self, hub_server: HubServer) -> None:
        stock_data(Catalogue(hub_server))
        assert told("import", f"hf:{WORDS}/train", "--rows", "3").startswith("words: 3 rows.")

    def test_what_can_not_be_sent_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "packed").mkdir()
        (tmp_path / "packed" / "rows.jsonl.gz").write_bytes(b"x")
        for name, status, why in (
            ("nothing.csv", 3, "There is no file or folder"),
            ("empty", 2, "No file in"),
            ("packed", 2, "Unpack it"),
        ):
            refused = run("import", str(tmp_path / name))
            assert (refused.exit_code, why in refused.stderr) == (status, True), refused.output
        assert not Dataset.objects.exists()

    def test_a_broken_connection_is_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(data_sending, "WAIT_SECONDS", 0.0)
        put = HubClient.put_bytes
        broken = iter([True, False])

        def flaky(client: HubClient, path: str, content: bytes, **query: object) -> object:
            answer = put(client, path, content, **query)
            if next(broken):  # it arrived, and the answer did not
                raise Unreachable("The connection broke.")
            return answer

        monkeypatch.setattr(HubClient, "put_bytes", flaky)
        path = tmp_path / "words.csv"
        path.write_text(ROWS)
        assert told("import", str(path)).startswith("words: 4 rows.")
        assert Dataset.objects.count() == 1


@pytest.mark.usefixtures("words")
class TestLook:
    def test_list(self) -> None:
        assert [each["slug"] for each in json.loads(told("list", "--json"))] == ["words"]

    def test_check(self) -> None:
        checked = told("check", "words", "--near")
        assert "Duplicate" in checked
        assert "mail" in checked

    def test_stats(self) -> None:
        assert "train rows" in told("stats", "words")
        assert json.loads(told("stats", "words", "--json", "--version", "2"))["rows"] == 4

    def test_languages(self) -> None:
        assert " en " in told("languages", "words")

    def test_a_dataset_that_is_not_there_is_told(self) -> None:
        refused = run("stats", "nothing")
        assert (refused.exit_code, "There is no dataset" in refused.stderr) == (3, True)


@pytest.mark.usefixtures("words")
class TestChange:
    def test_map(self) -> None:
        roles = ("--map", "user={prompt}", "--map", "assistant={completion}")
        assert "3: 4 rows. Mapped to chat" in told("map", "words", "--to", "chat", *roles)

    def test_drop(self) -> None:
        assert "3: 3 rows" in told("drop", "words", "--problem", "duplicate")

    def test_mask(self) -> None:
        assert "3: 4 rows" in told("mask", "words", "--personal", "email")
        version = Dataset.objects.named("words").version(None)
        assert "[EMAIL]" in version.files.at(0).value["completion"]

    def test_split(self) -> None:
        told("split", "words", "--valid", "0.5")
        assert Dataset.objects.named("words").version(None).valid_rows > 0

    def test_sample(self) -> None:
        assert "3: 2 rows" in told("sample", "words", "--rows", "2")

    def test_merge(self, tmp_path: Path) -> None:
        other = tmp_path / "more.csv"
        other.write_text("prompt,completion\nDefine keel.,The spine of a ship.\n")
        told("import", str(other))
        assert "3: 5 rows. Merged with more" in told("merge", "words", "more")


def test_from_chats() -> None:
    chat = Conversation.objects.create(title="Capitals")
    asked = Message.objects.create(conversation=chat, role="user", content="Capital?")
    answer = {"conversation": chat, "role": "assistant", "parent": asked, "content": "Paris."}
    chat.show(Message.objects.create(**answer))
    assert told("from-chats", "--dry-run") == "1 rows of 1 conversations.\n"
    assert "chats, version 2: 1 rows." in told("from-chats", "--name", "Chats")


class TestExport:
    def test_files_of_the_splits_are_written_here(self, words: str, tmp_path: Path) -> None:
        told("split", words, "--valid", "0.5")
        out = tmp_path / "out"
        printed = told("export", words, "--to", str(out), "--format", "openai")
        assert printed.split() == [str(out / "train.jsonl"), str(out / "valid.jsonl")]
        assert "messages" in json.loads((out / "train.jsonl").read_text().splitlines()[0])

    def test_a_folder_that_is_not_empty_is_left_alone(self, words: str, tmp_path: Path) -> None:
        refused = run("export", words, "--to", str(tmp_path))
        assert (refused.exit_code, "is not empty" in refused.stderr) == (2, True)

    def test_what_is_no_archive_is_told(
        self, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut(client: HubClient, path: str, to: BytesIO, **query: object) -> None:
            to.write(b"PK")

        monkeypatch.setattr(HubClient, "save", cut)
        refused = run("export", words, "--to", str(tmp_path / "out"))
        assert (refused.exit_code, "no whole archive" in refused.stderr) == (4, True)

    def test_only_files_of_an_export_are_taken_out_of_an_archive(self, tmp_path: Path) -> None:
        with data_export.zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr("../train.jsonl", "{}")
            archive.writestr("valid.jsonl", "{}\n")
        with data_export.zipfile.ZipFile(tmp_path / "evil.zip") as archive:
            taken = data_export._unpacked(archive, "jsonl", tmp_path / "out")
        assert taken == [tmp_path / "out" / "valid.jsonl"]
        assert not (tmp_path / "train.jsonl").exists()
