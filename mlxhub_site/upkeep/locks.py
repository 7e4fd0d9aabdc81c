"""Who may be at work in a data folder at the same time.

`mlx-hub up` holds run/hub.lock (supervisor.instance). A process that runs without it, such as
`mlx-hub serve`, shares run/parts.lock for as long as it lives, also over exec. Whoever
exchanges the data needs both for himself.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlxhub_site.supervisor.instance import StartRefused, only_hub
from mlxhub_site.upkeep.errors import UpkeepRefused


def hold_part(run_dir: Path) -> None:
    """Share the folder until this process, or what it becomes, ends. Raises UpkeepRefused."""
    descriptor = os.open(run_dir / "parts.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UpkeepRefused("The data folder is being restored. Start again after it.") from error
    os.set_inheritable(descriptor, True)


@contextmanager
def alone(run_dir: Path, *, doing: str) -> Iterator[None]:
    """Let no other process of the hub run meanwhile. Raises UpkeepRefused."""
    try:
        with (run_dir / "parts.lock").open("a") as parts, only_hub(run_dir, address=doing):
            try:
                fcntl.flock(parts, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UpkeepRefused(
                    "A process of this hub runs (`mlx-hub serve`, `engine` or `worker`). Stop it "
                    "first."
                ) from error
            yield
    except StartRefused as error:
        raise UpkeepRefused(str(error)) from error
