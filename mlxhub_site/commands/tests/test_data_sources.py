"""Datasets on the command line: from Hugging Face, from chats, from each other, and out."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.datasets import tasks
from apps.datasets.models import Dataset
from apps.discovery.tests.conftest import hub_server, models_dir, small_floor, woken
from apps.discovery.tests.data_catalogue import CHATS, WORDS, stock_data
from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import HubServer
from apps.playground.models import Conversation, Message
from mlxhub_site.cli import app

__all__ = ["hub_server", "models_dir", "small_floor", "woken"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("woken")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments])


@pytest.fixture(autouse=True)
def no_worker(models_dir: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "run_dataset_job", lambda key: None)


@pytest.fixture
def hugging_face(hub_server: HubServer) -> HubServer:
    stock_data(Catalogue(hub_server))
    return hub_server


@pytest.fixture
def chat(db: None) -> Conversation:
    """A question, a bad answer and its correction."""
    chat = Conversation.objects.create(title="Capitals")
    question = Message.objects.create(conversation=chat, role="user", content="Capital?")
    said = {"conversation": chat, "role": "assistant", "parent": question}
    bad = Message.objects.create(**said, content="Lyon.")
    chat.show(Message.objects.create(**said, content="Paris.", corrects=bad))
    return chat


@pytest.mark.usefixtures("hugging_face")
class TestFromHuggingFace:
    def test_a_dataset_is_fetched_and_imported(self) -> None:
        done = run("import", f"hf:{WORDS}")
        assert done.exit_code == 0, done.output
        assert "words: 10 rows." in done.stdout
        version = Dataset.objects.named("words").version(None)
        assert (version.train_rows, version.valid_rows) == (8, 2)

    def test_a_configuration_and_a_split_are_named_in_one_word(self) -> None:
        done = run("import", f"hf:{CHATS}:small/train_sft", "--name", "Chats")
        assert "chats: 3 rows." in done.stdout, done.output

    def test_the_first_rows_of_each_split_are_taken(self) -> None:
        done = run("import", f"hf:{WORDS}", "--rows", "1")
        assert done.exit_code == 0, done.output
        version = Dataset.objects.named("words").version(None)
        assert (version.train_rows, version.valid_rows) == (1, 1)

    @pytest.mark.parametrize(
        ("source", "status", "why"),
        [
            (f"hf:{CHATS}", 3, "Choose a configuration"),
            ("hf:acme/nothing", 3, "is not on"),
            ("hf:acme", 2, "names no dataset"),
        ],
    )
    def test_what_can_not_be_had_is_told(self, source: str, status: int, why: str) -> None:
        refused = run("import", source)
        assert refused.exit_code == status
        assert why in refused.output
        assert not Dataset.objects.exists()


class TestFromChats:
    def test_rows_are_counted_and_made(self, chat: Conversation) -> None:
        assert run("from-chats", "--dry-run").stdout == "1 rows of 1 conversations.\n"
        assert not Dataset.objects.exists()
        done = run("from-chats", "--kind", "preference", "--name", "Pairs")
        assert "pairs, version 2: 1 rows." in done.stdout, done.output
        again = run("from-chats", "--kind", "preference", "--add-to", "pairs")
        assert "pairs, version 3: 2 rows." in again.stdout, again.output

    @pytest.mark.parametrize(
        ("options", "status", "why"),
        [
            (("--kind", "odd"), 2, "'chat' or 'preference'"),
            (("--conversation", "x"), 2, "conversations[0]"),
            (("--which", "liked", "--add-to", "none"), 3, "There is no dataset"),
        ],
    )
    def test_nonsense_is_refused(
        self, chat: Conversation, options: tuple[str, ...], status: int, why: str
    ) -> None:
        refused = run("from-chats", *options)
        assert refused.exit_code == status
        assert why in refused.output


def test_datasets_are_merged_sampled_and_taken_away(chat: Conversation, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("from-chats", "--name", name).exit_code == 0
    assert "2 rows. Merged with two" in run("merge", "one", "two").stdout
    assert "1 rows. Sample of 1" in run("sample", "one", "--rows", "1").stdout
    out = tmp_path / "out"
    done = run("export", "one", "--to", str(out), "--format", "sharegpt")
    assert done.stdout.strip() == str(out / "train.jsonl")
    assert '"from":"gpt"' in (out / "train.jsonl").read_text()
    odd = run("export", "one", "--to", str(tmp_path / "odd"), "--format", "odd")
    assert "There is no format 'odd'" in odd.output
