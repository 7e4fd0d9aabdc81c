"""`mlx-hub evaluate | publish | mlflow`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from apps.discovery.publishing import tasks as publications
from apps.discovery.publishing.models import Publication
from apps.models.models import Adapter, LocalModel
from apps.training.evaluation import tasks as evaluations
from apps.training.evaluation.models import Evaluation
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of what was given to the worker, which does not run here."""
    keys: list[int] = []
    monkeypatch.setattr(evaluations, "run_evaluation", keys.append)
    monkeypatch.setattr(publications, "run_publication", keys.append)
    return keys


@pytest.fixture
def pirate(tiny: LocalModel, tmp_path: Path) -> Adapter:
    for name in ("adapters.safetensors", "adapter_config.json"):
        (tmp_path / name).write_text("{}")
    return Adapter.objects.create(
        base=tiny, slug="pirate", name="Pirate", path=str(tmp_path), digest="p"
    )


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_an_evaluation_is_ordered(pirate: Adapter, tmp_path: Path, queued: list[int]) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Ahoy?\n\nWhere to?\n")
    result = run(
        "evaluate", "tiny", "tiny:pirate", "--prompts", str(prompts), "--regex", "A.*", "--detach"
    )
    assert result.exit_code == 0, result.output
    made = Evaluation.objects.get()
    assert queued == [made.pk]
    assert made.plan["subjects"] == ["tiny", "tiny:pirate"]
    assert made.plan["check"] == {"kind": "regex", "text": "A.*"}
    assert [question.asked for question in made.asked] == ["Ahoy?", "Where to?"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tiny",), "there is nothing to ask yet"),
        (("gone", "--data", "words"), "There is no dataset 'words'"),
        (("tiny", "--exact", "--regex", "a"), "Say by one of --exact, --regex and --schema"),
        (("tiny", "--prompts", "/nowhere/at/all"), "can't be read"),
    ],
)
def test_what_can_not_be_evaluated_is_told(
    tiny: LocalModel, arguments: tuple[str, ...], told: str
) -> None:
    result = run("evaluate", *arguments, "--detach")
    assert result.exit_code != 0
    assert told in result.stderr


def test_a_publication_is_ordered_private(
    pirate: Adapter, queued: list[int], settings: Any
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"hf_token": SecretStr("hf_writer")})
    result = run("publish", "tiny:pirate", "kim/pirate", "--detach")
    assert result.exit_code == 0, result.output
    made = Publication.objects.get()
    assert (queued, made.private, made.repo_id) == ([made.pk], True, "kim/pirate")
    refused = run("publish", "tiny", "kim/tiny", "--detach")
    assert "came from elsewhere" in refused.stderr


def test_a_publication_without_a_token_is_refused(
    pirate: Adapter, queued: list[int], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"hf_token": None})
    monkeypatch.setattr("apps.discovery.hub.access.get_token", lambda: None)
    refused = run("publish", "tiny:pirate", "kim/pirate", "--detach")
    assert (refused.exit_code, refused.stdout, queued) == (5, "", [])
    assert "There is no access token" in refused.stderr


def test_mlflows_pages_are_started_or_it_is_said_how_to_get_them(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    told = run("mlflow")
    assert told.exit_code == 1
    assert "uvx mlflow server --backend-store-uri sqlite:///" in told.stderr
    uri = SecretStr("http://kim:s3cret@127.0.0.1:1")
    settings.HUB = settings.HUB.model_copy(update={"mlflow_tracking_uri": uri})
    there = run("mlflow")
    assert there.stdout == "The runs are at http://127.0.0.1:1.\n"
