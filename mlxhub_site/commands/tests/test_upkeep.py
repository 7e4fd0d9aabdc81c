"""`mlx-hub backup | restore | upgrade | doctor | service | completion`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mlxhub_site.cli import app
from mlxhub_site.upkeep import diagnosis
from mlxhub_site.upkeep.tests.conftest import fill, hub_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the commands, with a hub in it."""
    hub = hub_at(tmp_path / "home")
    fill(hub.data_dir)
    settings.HUB = hub
    monkeypatch.setattr("mlxhub_site.settings.HUB", hub)
    return hub.data_dir


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_backup_is_named_on_standard_output_and_can_be_restored(
    home: Path, tmp_path: Path
) -> None:
    made = run("backup", "--models")
    assert made.exit_code == 0, made.output
    archive = made.stdout.strip()
    assert Path(archive).parent == home / "backups"
    assert "keep it where nobody else reads it" in made.stderr

    assert "is whole: 5 files" in run("restore", archive, "--check").stdout
    refused = run("restore", archive)
    assert (refused.exit_code, "--replace" in refused.stderr) == (5, True)
    restored = run("restore", archive, "--replace")
    assert restored.exit_code == 0, restored.output
    assert "- own: copy its folder to /elsewhere/own" in restored.stdout


def test_models_that_are_not_in_a_backup_are_told(home: Path, tmp_path: Path) -> None:
    made = run("backup", "--to", str(tmp_path / "b"))
    assert "Models are named in it, not held: 2." in made.stderr


def test_an_archive_that_is_none_is_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"no archive")
    result = run("restore", str(tmp_path / "b"), "--replace")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    absent = run("restore", str(tmp_path / "gone"), "--replace")
    assert (absent.exit_code, "No such file" in absent.stderr) == (1, True)


def test_an_upgrade_of_what_is_new_says_so(home: Path) -> None:
    result = run("upgrade")
    assert (result.exit_code, result.stdout) == (0, "It is up to date.\n"), result.output


def test_half_a_restore_is_taken_back_by_the_next_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    (home / ".restore" / "new").mkdir(parents=True)
    (home / "datasets").mkdir()
    (home / "datasets" / "new").touch()
    (home / "backups" / "kept" / "datasets").mkdir(parents=True)
    (home / "backups" / "kept" / "datasets" / "old").touch()
    moves = {"names": ["datasets"], "coming": ["datasets"], "keep": "backups/kept"}
    (home / ".restore" / "journal.json").write_text(json.dumps(moves))

    script = "from mlxhub_site.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", script, "list"],
        env=os.environ | {"MLXHUB_HOME": str(home)},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert [path.name for path in (home / "datasets").iterdir()] == ["old"]
    assert not (home / ".restore").exists()


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLX is not started for a test of what is said about it."""
    found = diagnosis.Diagnosis("Accelerator", "ok", "cpu")
    monkeypatch.setattr(diagnosis, "_accelerator", lambda: found)


@pytest.mark.usefixtures("accelerator")
def test_the_doctor_mends_what_is_safe_to_mend(home: Path) -> None:
    home.chmod(0o755)
    (home / "secret_key").chmod(0o644)
    (home / "run" / "engine.sock").touch()

    told = json.loads(run("doctor", "--json").stdout)
    curable = [each["detail"] for each in told if each["can_fix"]]
    assert any("secret_key has mode 644" in detail for detail in curable)
    assert any("engine.sock was left" in detail for detail in curable)

    fixed = run("doctor", "--fix")
    assert "fixed" in fixed.stdout
    assert (home / "secret_key").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    assert not (home / "run" / "engine.sock").exists()
    assert not any(each["can_fix"] for each in json.loads(run("doctor", "--json").stdout))


@pytest.mark.usefixtures("accelerator")
def test_the_doctor_ends_with_1_where_something_is_down(home: Path) -> None:
    result = run("doctor")
    assert (result.exit_code, "The engine is not running" in result.stdout) == (1, True)


def test_the_doctor_asks_mlx_in_a_process_of_its_own() -> None:
    found = diagnosis._accelerator()
    assert found.state in ("ok", "degraded"), found
    assert "of memory" in found.detail


def test_a_service_is_shown_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLXHUB_PORT", "9001")
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    shown = run("service", "install", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "may hold a secret: HF_TOKEN." in shown.stderr
    assert "hf_writer" not in shown.output
    assert "MLXHUB_PORT" in shown.stdout
    assert not list(tmp_path.rglob("*hub*"))
    none = run("service", "status")
    assert (none.exit_code, "service install` writes it" in none.stderr) == (3, True)


def test_a_service_is_not_installed_beside_a_hub_that_was_started_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(
        "mlxhub_site.supervisor.instance.running_hub_url", lambda run_dir: "http://127.0.0.1:1"
    )
    refused = run("service", "install")
    assert (refused.exit_code, "Stop that one first" in refused.stderr) == (5, True)
    assert not list(tmp_path.rglob("*hub*"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_the_commands(shell: str) -> None:
    program = Path(sys.executable).with_name("mlx-hub")
    script = subprocess.run(
        [program, "completion", shell], capture_output=True, text=True, check=True, timeout=60
    )
    assert "_MLX_HUB_COMPLETE" in script.stdout
