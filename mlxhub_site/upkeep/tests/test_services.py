"""Units for systemd and launchd, read as those read them."""

from __future__ import annotations

import configparser
import os
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from mlxhub_site.upkeep.services import held_back, launchd, public, systemd, tell, write

COMMAND = ["/opt/my hub/bin/mlx-hub", "up"]
ENVIRONMENT = {"MLXHUB_HOME": '/data/50% of "it"', "MLXHUB_PORT": "9000"}


def test_a_systemd_unit_says_what_to_run_and_when_again(tmp_path: Path) -> None:
    unit = systemd(command=COMMAND, environment=ENVIRONMENT, home=tmp_path)
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.content.decode())
    assert parsed["Service"]["ExecStart"] == '"/opt/my hub/bin/mlx-hub" "up"'
    assert parsed["Service"]["Restart"] == "on-failure"
    assert parsed["Install"]["WantedBy"] == "default.target"
    assert 'Environment="MLXHUB_HOME=/data/50%% of \\"it\\""' in unit.content.decode()
    assert unit.path == tmp_path / ".config/systemd/user/mlx-hub.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    unit = systemd(command=["/bin/true"], environment=ENVIRONMENT, home=tmp_path)
    write(unit)
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(unit.path)]
    # Without a session's folder it would not get as far as the unit.
    own = os.environ | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_launchd_agent_says_the_same(tmp_path: Path) -> None:
    agent = plistlib.loads(launchd(command=COMMAND, environment=ENVIRONMENT, home=tmp_path).content)
    assert agent["ProgramArguments"] == COMMAND
    assert agent["EnvironmentVariables"] == ENVIRONMENT
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


def test_no_secret_is_written_down() -> None:
    environment = {
        "MLXHUB_HF_TOKEN": "hf", "MLXHUB_API_KEY": "k", "MLXHUB_DATABASE_URL": "postgres://:w@h",
        "MLXHUB_PORT": "1", "PATH": "/bin",
    }  # fmt: skip
    assert public(environment) == {"MLXHUB_PORT": "1"}
    # The key is for commands that call another hub: no service misses it.
    assert held_back(environment) == ["MLXHUB_DATABASE_URL", "MLXHUB_HF_TOKEN"]


def test_where_the_key_of_https_lies_is_no_secret() -> None:
    environment = {"MLXHUB_TLS_CERT": "/etc/hub/chain.pem", "MLXHUB_TLS_KEY": "/etc/hub/key.pem"}
    assert public(environment) == environment


def test_a_service_has_what_the_shell_had_by_other_names_and_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"HF_HUB_CACHE": "hf", "MLXHUB_HOME": "~/hub", "HF_HUB_OFFLINE": "1"}
    assert public(environment) == environment | {"HF_HUB_CACHE": f"{tmp_path}/hf"}


def test_a_unit_is_for_its_owner_alone(tmp_path: Path) -> None:
    unit = systemd(command=COMMAND, environment={}, home=tmp_path)
    write(unit)
    write(unit)
    assert unit.path.read_bytes() == unit.content
    assert unit.path.stat().st_mode & 0o777 == 0o600
    assert list(unit.path.parent.iterdir()) == [unit.path]


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(Exception, match="`sh -c echo no >&2; exit 1` failed: no"):
        tell([("sh", "-c", "echo no >&2; exit 1")])
