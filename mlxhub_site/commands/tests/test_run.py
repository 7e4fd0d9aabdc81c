"""`mlx-hub run` and what can be typed in `mlx-hub chat`, against a scripted engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from apps.inference.engine import protocol
from apps.models.models import LocalModel
from mlxhub_site.cli import app
from mlxhub_site.commands import chat
from tests.engine_scripts import failure, reply
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=typed)


def asked(engine: FakeEngine, number: int = 0) -> protocol.Generate:
    request: protocol.Generate = engine.calls_of(protocol.Generate)[number].request
    return request


def test_a_dash_is_the_first_model_and_figures_go_to_standard_error(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine.once(protocol.Generate, *reply("Yes."))
    result = run("run", "-", "Is it?", "--stats", "--seed", "7", "--system", "Be brief.")
    assert (result.exit_code, result.stdout) == (0, "Yes.\n"), result.output
    assert "12 prompt tokens (0 cached), 1 tokens" in result.stderr
    assert asked(fake_engine).sampling.seed == 7
    assert asked(fake_engine).messages[0].content == "Be brief."


def test_a_model_without_defaults_is_asked_cautiously(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    run("run", "tiny", "One")
    LocalModel.objects.update(temperature=0.8)
    run("run", "tiny", "Two")
    run("run", "tiny", "Three", "--temperature", "0.1")
    heats = [asked(fake_engine, number).sampling.temperature for number in range(3)]
    assert heats == [0.3, 0.8, 0.1]


def test_the_whole_answer_comes_as_json(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    fake_engine.once(protocol.Generate, *reply("Yes."))
    told = json.loads(run("run", "tiny", "Is it?", "--json").stdout)
    assert told["choices"][0]["message"]["content"] == "Yes."


def test_a_schema_constrains_the_answer(
    fake_engine: FakeEngine, tiny: LocalModel, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"a": {"type": "integer"}}}')
    run("run", "tiny", "Is it?", "--schema", str(schema))
    assert asked(fake_engine).sampling.grammar is not None


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("tiny",), 2, "nothing to ask"),
        (("gone", "Hi"), 3, "is not on this hub"),
        (("tiny", "Hi", "--schema", "/nowhere"), 2, "no JSON Schema"),
    ],
)
def test_what_can_not_be_asked_is_one_line(
    fake_engine: FakeEngine,
    tiny: LocalModel,
    arguments: tuple[str, ...],
    status: int,
    said: str,
) -> None:
    result = run("run", *arguments)
    assert (result.exit_code, said in result.stderr) == (status, True), result.output


def test_a_failure_in_the_answer_is_an_exit_status(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine.once(protocol.Generate, failure("queue_full", "Too many."))
    result = run("run", "tiny", "Hi")
    assert (result.exit_code, result.stderr) == (5, "Error: Too many.\n")


def test_a_question_may_have_several_lines(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    run("chat", "tiny", typed='"""One\ntwo"""\n')
    assert asked(fake_engine).messages[-1].content == "One\ntwo"


def test_commands_steer_the_chat(fake_engine: FakeEngine, tiny: LocalModel, tmp_path: Path) -> None:
    kept = tmp_path / "chat.jsonl"
    typed = [
        "/system Be brief.", "/set temperature 0.5", "One?", "/retry", "Two?", "/undo",
        f"/save {kept}", "/show", "/nonsense", "/set heat 1", "/help", "/bye", "never asked",
    ]  # fmt: skip
    result = run("chat", "tiny", typed="\n".join(typed))
    assert result.exit_code == 0, result.output
    questions = [asked(fake_engine, n).messages[-1].content for n in range(3)]
    assert questions == ["One?", "One?", "Two?"]
    assert len(fake_engine.calls_of(protocol.Generate)) == 3
    assert asked(fake_engine).sampling.temperature == 0.5
    saved = json.loads(kept.read_text())["messages"]
    assert [each["role"] for each in saved] == ["system", "user", "assistant"]
    assert "There is no /nonsense." in result.stderr
    assert "/set knows temperature" in result.stderr
    assert "/retry" in result.stdout


def test_a_new_conversation_forgets_the_old_one(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    run("chat", "tiny", typed="One?\n/new\nTwo?\n")
    assert [m.content for m in asked(fake_engine, 1).messages] == ["Two?"]


def test_an_endless_question_in_a_pipe_is_not_asked(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    result = run("chat", "tiny", typed='"""One\ntwo\n')
    assert (result.exit_code, "is not closed" in result.stderr) == (2, True)
    assert not fake_engine.calls_of(protocol.Generate)


def test_ctrl_c_at_the_prompt_forgets_what_is_typed_and_the_chat_goes_on(
    fake_engine: FakeEngine, tiny: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["One?", KeyboardInterrupt, '"""Two', KeyboardInterrupt, "Three?", EOFError])

    def typing(prompt: str) -> str:
        key = next(typed)
        if isinstance(key, str):
            return key
        raise key

    monkeypatch.setattr(chat, "input", typing, raising=False)
    monkeypatch.setattr(chat, "_is_terminal", lambda: True)
    monkeypatch.setattr(chat, "_open_history", lambda client: None)
    result = run("chat", "tiny")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Ctrl-D or /bye leaves.") == 2
    questions = [
        call.request.messages[-1].content for call in fake_engine.calls_of(protocol.Generate)
    ]
    assert questions == ["One?", "Three?"]


def test_nothing_is_saved_of_a_chat_without_an_answer(
    fake_engine: FakeEngine, tiny: LocalModel, tmp_path: Path
) -> None:
    kept = tmp_path / "chat.jsonl"
    result = run("chat", "tiny", typed=f"/save {kept}\n/set temperature nan\n")
    assert "Nothing was answered yet." in result.stderr
    assert "'nan' is no number for temperature." in result.stderr
    assert not kept.exists()
