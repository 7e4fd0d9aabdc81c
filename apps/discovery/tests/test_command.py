"""The pull command: what a person sees."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.discovery import services
from apps.discovery.tests.conftest import REPO
from apps.discovery.tests.hub_server import HubServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def tiny(models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add(REPO, tiny_files)


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("pull", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_a_pull_into_a_log_has_a_line_for_each_file() -> None:
    lines = run(REPO)

    assert "  downloading model.safetensors (98 kB)" in lines
    assert lines[-1] == "Tiny-Llama is ready (tiny-llama)."
    assert len(lines) == 8


def test_a_second_pull_says_that_the_model_is_here() -> None:
    run(REPO, "--name", "tiny")

    assert run(REPO) == [f"{REPO} is here already, as tiny."]


def test_a_failure_is_one_plain_sentence() -> None:
    with pytest.raises(CommandError, match="acme/nothing is not on"):
        run("acme/nothing")


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "pull", interrupted)
    with pytest.raises(CommandError, match="The same command goes on from here"):
        run(REPO)
