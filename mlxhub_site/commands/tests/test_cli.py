"""The command line, against a scripted engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from apps.inference.engine import protocol
from apps.models.models import Adapter, LocalModel
from mlxhub_site.cli import app
from tests.engine_scripts import failure, reply
from tests.fake_engine import FakeEngine
from tests.registry import make_model

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=typed)


def test_status_tells_the_accelerator_and_the_cache(fake_engine: FakeEngine) -> None:
    result = run("status")
    assert result.exit_code == 0, result.output
    assert "Accelerator" in result.stdout
    assert "Prompt cache" in result.stdout


def test_the_version_is_a_command_and_an_option() -> None:
    assert run("--version").stdout == run("version").stdout
    assert run("--version").stdout.startswith("MLX Model Hub ")


def test_models_are_listed(tiny: LocalModel) -> None:
    lines = run("models").stdout.splitlines()
    assert " ".join(lines[1].split()) == "tiny chat 1M 4-bit 1.0 MB 2,048"


@pytest.mark.usefixtures("db")
def test_an_empty_hub_says_how_to_get_a_model() -> None:
    assert "mlx-hub import" in run("models").stdout


def test_load_and_unload_call_the_engine(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    assert run("load", "tiny").stdout.startswith("tiny is loaded")
    assert run("unload", "tiny").stdout == "tiny is unloaded.\n"
    assert [type(request) for request in fake_engine.requests] == [
        protocol.LoadModel,
        protocol.UnloadModel,
    ]


def test_without_a_name_the_first_model_is_loaded_and_all_are_unloaded(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    make_model("zeta")
    run("load", "zeta")
    assert run("load").stdout.startswith("tiny is loaded")
    assert set(run("unload").stdout.splitlines()) == {"tiny is unloaded.", "zeta is unloaded."}
    assert run("unload").stdout == "No model is loaded.\n"


def test_a_model_that_is_answering_stays_and_the_others_go(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    make_model("zeta")
    run("load", "tiny")
    run("load", "zeta")
    fake_engine.once(protocol.UnloadModel, failure("model_busy", "It is answering 2 requests."))
    result = run("unload")
    assert (result.exit_code, result.stdout) == (5, "zeta is unloaded.\n")
    assert "tiny: It is answering 2 requests." in result.stderr
    assert "Still loaded: tiny." in result.stderr


def test_chat_keeps_the_conversation(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    fake_engine.once(protocol.Generate, *reply("Par", "is."))
    result = run("chat", "--system", "Be brief.", typed="Capital of France?\n\nSure?\n")
    assert result.exit_code == 0, result.output
    assert "Paris." in result.stdout
    second = fake_engine.calls_of(protocol.Generate)[1].request
    assert [(m.role, m.content) for m in second.messages] == [
        ("system", "Be brief."),
        ("user", "Capital of France?"),
        ("assistant", "Paris."),
        ("user", "Sure?"),
    ]


def test_a_failed_answer_does_not_end_the_chat(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    fake_engine.once(protocol.Generate, failure("queue_full", "Too many requests."))
    fake_engine.once(protocol.Generate, *reply("Here I am."))
    result = run("chat", "tiny", typed="One?\nTwo?\n")
    assert "Error: Too many requests." in result.stderr
    assert "Here I am." in result.stdout
    second = fake_engine.calls_of(protocol.Generate)[1].request
    assert [m.content for m in second.messages] == ["Two?"]


def test_chat_takes_an_adapter_after_a_colon(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    Adapter.objects.create(base=tiny, slug="pirate", name="Pirate", path="/p", digest="p")
    result = run("chat", "tiny:pirate", typed="Ahoy?\n")
    assert result.stderr.startswith("tiny:pirate.")
    assert fake_engine.calls_of(protocol.Generate)[0].request.adapter == protocol.AdapterSpec(
        name="pirate", path="/p", digest="p"
    )


def test_an_unknown_adapter_is_one_line_on_standard_error(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    result = run("chat", "tiny:sailor")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: The model 'tiny' has no adapter 'sailor'.")


@pytest.mark.usefixtures("tiny")
def test_an_unknown_model_is_one_line_on_standard_error() -> None:
    result = run("load", "nonsense")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: The model 'nonsense' is not on this hub.")
    assert result.stderr.count("\n") == 1


def test_an_absent_engine_is_one_line_on_standard_error(settings: Any, tmp_path: Path) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    result = run("status")
    assert result.exit_code == 4
    assert "The engine is not running. Start it with `mlx-hub up`" in result.stdout


def test_a_file_that_is_no_model_is_one_line_on_standard_error(tmp_path: Path, db: None) -> None:
    path = tmp_path / "foreign.gguf"
    path.write_bytes(b"not a model")
    result = run("import", str(path), "--name", "foreign")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert not LocalModel.objects.exists()
