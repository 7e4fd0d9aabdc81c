"""What `mlx-hub doctor` looks at beside the health checks: the machine and the data folder.

Each check says what it saw, and carries its cure where it is safe without asking: modes of the
hub's own files, and what dead processes left behind.
"""

from __future__ import annotations

import json
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.supervisor.instance import StartRefused, bound_socket, running_hub_url
from mlxhub_site.upkeep.backup import STAGING, backups_dir
from mlxhub_site.upkeep.contents import DATABASE, SECRET_KEY

State = Literal["ok", "degraded", "down"]

PROBE_SECONDS = 90.0
"""For a process that imports MLX."""

PACKAGES = ("mlx", "mlx-lm", "transformers", "huggingface_hub", "django")

_PROBE = """
import dataclasses, json
from apps.models.runtime.accelerator import prepare
print(json.dumps(dataclasses.asdict(prepare())))
"""


@dataclass(frozen=True)
class Diagnosis:
    """``cure`` mends it; None: there is nothing to mend, or it is not for a program to do."""

    label: str
    state: State
    detail: str = ""
    remedy: str = ""
    cure: Callable[[], None] | None = None


def examine(hub: HubSettings) -> Iterator[Diagnosis]:
    """One after another, the quick ones first."""
    yield _versions()
    yield _folder(hub)
    yield from _modes(hub)
    yield from _leftovers(hub)
    yield _port(hub)
    yield _accelerator()


def _versions() -> Diagnosis:
    known = []
    for name in PACKAGES:
        try:
            known.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Diagnosis(
                "Versions", "down", f"{name} is not installed.", "Install the hub again: `make up`."
            )
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return Diagnosis("Versions", "ok", f"{system}, {', '.join(known)}")


def _folder(hub: HubSettings) -> Diagnosis:
    home = hub.data_dir
    probe = home / "run" / ".doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Diagnosis(
            "Data folder", "down", f"{home} can't be written to: {error.strerror}.",
            "Make it yours, with room on its disk, or set MLXHUB_HOME to another folder.",
        )  # fmt: skip
    free = shutil.disk_usage(home).free / 1e9
    return Diagnosis("Data folder", "ok", f"{home}, {free:.1f} GB free")


def _modes(hub: HubSettings) -> Iterator[Diagnosis]:
    """Chats and keys are for the owner alone."""
    home = hub.data_dir
    wanted = {home: 0o700, home / SECRET_KEY: 0o600, home / "run": 0o700, home / "logs": 0o700}
    wanted |= dict.fromkeys((home / DATABASE, home / f"{DATABASE}-wal"), 0o600)
    open_to_all = {
        path: mode
        for path, mode in wanted.items()
        if path.exists() and path.stat().st_mode & 0o777 & ~mode and not _is_inside(path, home)
    }
    if not open_to_all:
        yield Diagnosis("Permissions", "ok", "nobody else reads the data folder")
    for path, mode in open_to_all.items():
        yield Diagnosis(
            "Permissions",
            "degraded",
            f"{path} has mode {path.stat().st_mode & 0o777:o}: others may read it.",
            f"`chmod {mode:o} {path}`",
            lambda path=path, mode=mode: path.chmod(mode),  # type: ignore[misc]
        )


def _is_inside(path: Path, home: Path) -> bool:
    """Whether a folder above keeps others out already."""
    return path != home and home.stat().st_mode & 0o077 == 0


def _leftovers(hub: HubSettings) -> Iterator[Diagnosis]:
    """What dead processes left; each next start would remove it too."""
    stale = []
    if hub.engine_socket.exists() and not _answers(hub.engine_socket):
        stale.append(hub.engine_socket)
    processes = hub.data_dir / "run" / "processes.json"
    if processes.exists() and running_hub_url(processes.parent) is None:
        stale.append(processes)
    stale += backups_dir(hub).glob(f"{STAGING}*")
    if not stale:
        yield Diagnosis("Leftovers", "ok", "nothing is left of dead processes")
    for path in stale:
        yield Diagnosis(
            "Leftovers",
            "degraded",
            f"{path} was left by a process that is gone.",
            "--fix removes it; so does the next start.",
            lambda path=path: _remove(path),  # type: ignore[misc]
        )


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _port(hub: HubSettings) -> Diagnosis:
    if (address := running_hub_url(hub.data_dir / "run")) is not None:
        return Diagnosis("Port", "ok", f"the hub listens at {address}")
    try:
        with bound_socket(hub.host, hub.port):
            pass
    except StartRefused as error:
        return Diagnosis("Port", "degraded", str(error), "Another program has it.")
    return Diagnosis("Port", "ok", f"{hub.port} on {hub.host} is free")


def _accelerator() -> Diagnosis:
    """Asked in a process of its own: MLX may end the one that it can't work in."""
    command = [sys.executable, "-c", _PROBE]
    try:
        ended = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True
        )
        found = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        return Diagnosis(
            "Accelerator", "down", f"MLX did not start within {PROBE_SECONDS:g} s.",
            "Look whether the machine is overloaded or its driver hangs.",
        )  # fmt: skip
    except (subprocess.CalledProcessError, ValueError) as error:
        last = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        return Diagnosis(
            "Accelerator", "down", f"MLX can't be used: {' '.join(last)}.",
            "Install the back end of this machine: `make up BACKEND=…`, as the README tells.",
        )  # fmt: skip
    blas = f", BLAS {found['blas']}" if found["blas"] else ""
    memory = found["memory_bytes"] / 1024**3
    said = f"{found['backend']}, {found['name']}{blas}, {memory:.1f} GiB of memory"
    return Diagnosis(
        "Accelerator", "degraded" if found["warning"] else "ok", said, found["warning"] or ""
    )
