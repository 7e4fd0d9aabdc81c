"""The database takes a write and gives it back. A disk that is full answers reads for long."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import DatabaseError

from apps.system.health.findings import Finding
from apps.system.health.models import Beat

logger = logging.getLogger(__name__)


def check() -> Finding:
    """Writes one row, this process's sign of life."""
    try:
        Beat.objects.beat(settings.HUB.process_name)
    except DatabaseError as error:
        logger.warning("The database does not take a write: %s", error)
        return Finding(
            "down",
            "The database does not take a write; the log of this process says why.",
            f"Look whether the disk of {settings.HUB.data_dir} has room and may be written to. "
            "Of a database of an older version: `mlx-hub up` brings it up to date.",
        )
    return Finding("ok")
