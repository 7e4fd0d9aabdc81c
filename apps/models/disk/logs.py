"""Log files that have been rotated away may go at any time."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

_OLD = re.compile(r".+\.log\.\d+$")


def old_logs() -> list[Path]:
    """Rotated log files: nothing writes to them any more."""
    folder = Path(settings.HUB.logs_dir)
    files = folder.iterdir() if folder.is_dir() else ()
    return [file for file in files if _OLD.match(file.name)]


def remove_old_logs() -> int:
    """Remove rotated log files; the bytes freed. Those being written to stay."""
    freed = 0
    for file in old_logs():
        freed += file.stat().st_size
        file.unlink(missing_ok=True)
    return freed
