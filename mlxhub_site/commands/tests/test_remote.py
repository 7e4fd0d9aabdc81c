"""Commands for another hub: a real server on this machine, a key, and its refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from django.core.handlers.asgi import ASGIHandler
from typer.testing import CliRunner, Result

from apps.inference.api.lifetime import RequestLifetimes
from apps.inference.engine import protocol
from apps.inference.keys.services import create_key
from apps.models.models import LocalModel
from mlxhub_site.cli import app
from tests.engine_scripts import reply
from tests.fake_engine import FakeEngine
from tests.hub_process import free_port, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # WhiteNoise misses the collected files, which nobody asks for here.
    pytest.mark.filterwarnings("ignore:No directory at"),
]


@contextmanager
def served() -> Iterator[str]:
    config = uvicorn.Config(
        RequestLifetimes(ASGIHandler()),
        port=free_port(),
        lifespan="off",
        log_config=None,
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def url(fake_engine: FakeEngine) -> Iterator[str]:
    with served() as address:
        yield address


def run(*arguments: str, typed: str = "", **variables: str) -> Result:
    return CliRunner().invoke(app, arguments, input=typed, env=variables)


def test_models_jobs_and_status_are_those_of_the_other_hub(url: str, tiny: LocalModel) -> None:
    listed = json.loads(run("list", "--json", "--url", url).stdout)
    assert [model["slug"] for model in listed["models"]] == ["tiny"]
    assert "No training job yet" in run("jobs", MLXHUB_URL=url).stdout
    assert "Accelerator" in run("status", "--url", f"{url}/").stdout


def test_a_model_is_loaded_and_unloaded_there(
    url: str, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    assert run("load", "tiny", "--url", url).stdout == "tiny is loaded (0.1 s).\n"
    assert set(fake_engine.loaded) == {tiny.digest}
    assert run("unload", "--url", url).stdout == "tiny is unloaded.\n"
    assert fake_engine.loaded == {}


def test_a_question_is_answered_there(url: str, tiny: LocalModel, fake_engine: FakeEngine) -> None:
    fake_engine.once(protocol.Generate, *reply("In ", "brief."))
    result = run("run", "tiny", "Sum up", "--url", url, typed="A long text.\n")
    assert (result.exit_code, result.stdout) == (0, "In brief.\n"), result.output
    asked = fake_engine.calls_of(protocol.Generate)[0].request
    assert [m.content for m in asked.messages] == ["Sum up\n\nA long text."]


def test_a_key_is_taken_from_the_environment_and_its_limits_are_told(
    url: str, tiny: LocalModel, settings: object
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"require_keys": True})  # type: ignore[attr-defined]
    _, key = create_key(name="laptop", may_manage=False)
    without = run("list", "--url", url)
    assert (without.exit_code, "needs an API key" in without.stderr) == (5, True)
    inference_only = run("list", "--url", url, MLXHUB_API_KEY=key)
    assert (inference_only.exit_code, "not for management" in inference_only.stderr) == (5, True)
    asked = run("run", "tiny", "Hi", "--url", url, "--api-key-env", "MINE", MINE=key)
    assert (asked.exit_code, asked.stdout) == (0, "Hello world\n"), asked.output


def test_nobody_there_is_its_own_exit_status() -> None:
    result = run("list", "--url", f"http://127.0.0.1:{free_port()}")
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert "No hub answers at http://127.0.0.1" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hub",
        "hub:8080",
        "https://",
        "https://me:secret@hub",  # pragma: allowlist secret
        "https://hub/?q",
    ],
)
def test_what_is_no_address_is_wrong_use(url: str) -> None:
    result = run("list", "--url", url)
    assert result.exit_code == 2
    assert "secret" not in result.output


@pytest.mark.parametrize(
    "command", [("keys", "list"), ("verify", "tiny"), ("doctor",), ("import",)]
)
def test_what_is_for_one_machine_says_so_also_where_the_environment_names_a_hub(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    by_option = run(*command, "--url", "https://hub")
    by_variable = run(*command, MLXHUB_URL="https://hub")
    for result in (by_option, by_variable):
        assert result.exit_code == 5
        assert "on the hub's own machine only" in result.stderr
