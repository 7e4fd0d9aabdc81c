"""`mlx-hub bench`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from apps.inference.benchmarks.measuring.tests.scripted import Script, ScriptedServer
from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.models import BenchmarkRun
from apps.models.models import LocalModel
from mlxhub_site.cli import app
from mlxhub_site.supervisor.instance import only_hub, running_hub_url

pytestmark = pytest.mark.django_db

Put = Callable[..., ScriptedServer]
OTHER = ("--base-url", "http://other.test/v1", "--quick")


def bench(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["bench", *arguments], env=env)


def test_another_server_is_measured_and_the_run_kept(measured_server: Put) -> None:
    measured_server()
    result = bench("llama-1b", *OTHER, "--clients", "1,2")
    assert result.exit_code == 0, result.output
    assert "Measuring llama-1b on other.test" in result.output
    assert "TTFT, same system prompt" in result.output
    assert "target < 50.0 ms" in " ".join(result.output.replace("│", " ").split())
    assert "Tokens/s, 2 clients" in result.output
    run = BenchmarkRun.objects.get()
    assert run.is_done
    assert f"Kept as benchmark {run.pk}" in result.output


def test_nothing_is_kept_where_that_is_not_wanted(
    measured_server: Put,
    tmp_path: Path,
) -> None:
    measured_server()
    written = tmp_path / "run.json"
    result = bench("m", *OTHER, "--no-save", "--json", str(written))
    assert result.exit_code == 0, result.output
    assert not BenchmarkRun.objects.exists()
    assert json.loads(written.read_text())["state"] == "done"


def test_a_dash_prints_the_run_alone_on_standard_output(measured_server: Put) -> None:
    measured_server()
    result = bench("m", *OTHER, "--json", "-")
    assert json.loads(result.stdout)["state"] == "done"
    assert "TTFT" in result.stderr


def test_the_key_comes_from_the_environment(
    measured_server: Put,
    addresses: list[dict[str, Any]],
) -> None:
    measured_server()
    bench("m", *OTHER, "--api-key-env", "OTHER_KEY", env={"OTHER_KEY": "secret"})
    assert addresses[0]["api_key"] == "secret"


def test_this_hub_is_measured_where_it_listens(
    measured_server: Put,
    addresses: list[dict[str, Any]],
    tiny: LocalModel,
    settings: Any,
    fake_engine: Any,
) -> None:
    measured_server()
    run_dir = settings.HUB.engine_socket.parent
    with only_hub(run_dir, address="http://127.0.0.1:9999"):
        result = bench("--quick")
    assert result.exit_code == 0, result.output
    assert addresses[0]["url"] == "http://127.0.0.1:9999/v1"
    assert BenchmarkRun.objects.get().model_name == "tiny"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (OTHER, 2, "Name the model"),
        (("m", "--base-url", "ftp://x"), 2, "no address of an API"),
        (("m", *OTHER, "--clients", "many"), 2, "--clients takes whole numbers"),
        (("m", *OTHER, "--clients", "0"), 2, "--clients 0:"),
        (("m", *OTHER, "--api-key-env", "NOT_SET"), 2, "NOT_SET is empty or not set"),
        (("tiny",), 4, "The hub is not running. Start it with `mlx-hub up`"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(
    tiny: LocalModel, arguments: tuple[str, ...], status: int, words: str
) -> None:
    result = bench(*arguments)
    assert result.exit_code == status
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not BenchmarkRun.objects.exists()


def test_a_server_that_refuses_is_one_line_on_standard_error(
    measured_server: Put,
) -> None:
    measured_server(lambda body: Script(error="Who are you?"))
    result = bench("m", *OTHER)
    assert result.exit_code == 1
    assert "broke off: Who are you?" in result.stderr
    assert BenchmarkRun.objects.get().state == BenchmarkRun.State.FAILED


def test_it_does_not_run_beside_another_one(measured_server: Put) -> None:
    measured_server()
    other = make_run("running")
    result = bench("m", *OTHER)
    assert f"Benchmark {other.pk}" in result.stderr
    assert BenchmarkRun.objects.exclude(pk=other.pk).get().state == BenchmarkRun.State.CANCELLED


def test_a_hub_that_ended_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    assert running_hub_url(tmp_path) is None
    with only_hub(tmp_path, address="http://127.0.0.1:9999"):
        assert running_hub_url(tmp_path) == "http://127.0.0.1:9999"
    assert running_hub_url(tmp_path) is None
