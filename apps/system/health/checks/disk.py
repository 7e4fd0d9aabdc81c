"""The data folder's disk has room."""

from __future__ import annotations

import shutil

from django.conf import settings

from apps.models.sizes import readable
from apps.system.health.findings import Finding

FEW_BYTES = 5 * 1024**3
NO_BYTES = 500 * 1024**2
"""Below this, chats may not be stored any more."""

_CLEAR = "`mlx-hub disk` and the Disk page say what takes space; the page removes what nobody uses."


def check() -> Finding:
    """How much is free."""
    try:
        disk = shutil.disk_usage(settings.HUB.data_dir)
    except OSError as error:
        return Finding("down", f"The data folder can't be read: {error.strerror}.", "Mount it.")
    free = f"{readable(disk.free)} free of {readable(disk.total)}"
    if disk.free < NO_BYTES:
        return Finding("down", f"{free}: what is written may be lost.", _CLEAR)
    if disk.free < FEW_BYTES:
        return Finding("degraded", f"{free}: too little for most models.", _CLEAR)
    return Finding("ok", f"{free}.")
