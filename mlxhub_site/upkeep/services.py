"""The hub as a service of the user's own session: a systemd unit or a launchd agent.

Neither needs root. The environment that the hub is configured by is written into the unit,
because a service does not start from the user's shell; secrets are left out.

https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html
https://developer.apple.com/library/archive/documentation/MacOSX/Conceptual/BPSystemStartup/Chapters/CreatingLaunchdJobs.html
"""

from __future__ import annotations

import plistlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasChoices

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.upkeep.errors import UpkeepError, UpkeepRefused

SECONDS = 60.0
"""For systemctl and launchctl."""

LABEL = "org.mlx-model-hub.hub"
UNIT = "mlx-hub.service"

STOP_SECONDS = 60
"""The hub drains its answers and stops its trainings within this."""

SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "URL", "URI")
"""A variable whose name ends so may hold a secret, and is not written down."""

FILES = frozenset({"MLXHUB_TLS_KEY"})
"""Paths of secrets, without which the hub would not start as it did in the shell."""


@dataclass(frozen=True)
class Service:
    """One service manager's way: the file that tells it, and what makes it read that."""

    path: Path
    content: bytes
    install: Sequence[Sequence[str]]
    uninstall: Sequence[Sequence[str]]
    status: Sequence[str]


def service(*, command: Sequence[str], environment: Mapping[str, str], home: Path) -> Service:
    """For this platform. ``home``: the user's own folder. Raises UpkeepRefused."""
    if sys.platform == "darwin":
        return launchd(command=command, environment=environment, home=home)
    if sys.platform == "linux":
        return systemd(command=command, environment=environment, home=home)
    raise UpkeepRefused(f"There is no service for {sys.platform}. Start `mlx-hub up` yourself.")


def systemd(*, command: Sequence[str], environment: Mapping[str, str], home: Path) -> Service:
    """A user unit. It starts with the user's session; lingering starts it with the machine."""
    lines = [
        "[Unit]",
        "Description=MLX Model Hub",
        "",
        "[Service]",
        "Type=simple",
        f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in command)}",
        *(f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()),
        "Restart=on-failure",
        "RestartSec=5",
        # The supervisor asks its processes itself: to be signalled twice would cut them short.
        "KillMode=mixed",
        f"TimeoutStopSec={STOP_SECONDS}",
        "NoNewPrivileges=true",
        "UMask=0077",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    return Service(
        path=home / ".config" / "systemd" / "user" / UNIT,
        content="\n".join(lines).encode(),
        install=(
            ("systemctl", "--user", "daemon-reload"),
            ("systemctl", "--user", "enable", UNIT),
            # Not enable --now: a unit that was written anew would go on as it was.
            ("systemctl", "--user", "restart", UNIT),
        ),
        uninstall=(("systemctl", "--user", "disable", "--now", UNIT),),
        status=("systemctl", "--user", "--no-pager", "status", UNIT),
    )


def launchd(*, command: Sequence[str], environment: Mapping[str, str], home: Path) -> Service:
    """An agent of the user's session: Metal wants one."""
    path = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    told = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": STOP_SECONDS,
        "ProcessType": "Interactive",  # else macOS slows its processor and its disk down
        "Umask": 0o077,
    }
    return Service(
        path=path,
        content=plistlib.dumps(told),
        install=(("launchctl", "load", "-w", str(path)),),
        uninstall=(("launchctl", "unload", "-w", str(path)),),
        status=("launchctl", "list", LABEL),
    )


def _variables() -> dict[str, bool]:
    """The variables that the hub reads, and which of them hold one path."""
    found: dict[str, bool] = {}
    for name, field in HubSettings.model_fields.items():
        alias = field.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [f"MLXHUB_{name.upper()}"]
        is_path = field.annotation in (Path, Path | None)
        found |= {each: is_path for each in names if isinstance(each, str)}
    return found


VARIABLES = _variables()


def public(environment: Mapping[str, str]) -> dict[str, str]:
    """The hub's variables in ``environment``, without those that may hold a secret.

    Paths are made absolute: a service does not start in the shell's folder.
    """
    return {
        name: _absolute(value) if VARIABLES[name] else value
        for name, value in sorted(environment.items())
        if name in VARIABLES and not _may_be_secret(name) and "\n" not in value
    }


def held_back(environment: Mapping[str, str]) -> list[str]:
    """The hub's variables that ``public`` leaves out."""
    return sorted(VARIABLES.keys() & environment.keys() - public(environment).keys())


def write(service: Service) -> None:
    """Put the file in its place. Raises OSError."""
    service.path.parent.mkdir(parents=True, exist_ok=True)
    staged = service.path.with_suffix(".new")
    staged.write_bytes(service.content)
    staged.chmod(0o600)
    staged.rename(service.path)


def tell(commands: Sequence[Sequence[str]]) -> None:
    """Run them one after another. Raises UpkeepError."""
    for command in commands:
        try:
            ended = subprocess.run(  # noqa: S603 - the commands above
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UpkeepError(f"`{' '.join(command)}` can't be run: {error}.") from error
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip()
            raise UpkeepError(f"`{' '.join(command)}` failed: {said}")


def _may_be_secret(name: str) -> bool:
    return name not in FILES and name.endswith(SECRET)


def _absolute(path: str) -> str:
    return path if path.startswith("~") else str(Path(path).absolute())


def _quoted(word: str) -> str:
    """A word as systemd reads it, in quotes and without specifiers of its own."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
