"""Signs of life of the hub's Django processes, wherever they run."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import psutil
from django.db import models
from django.utils import timezone

FRESH = timedelta(seconds=40)
"""A process that beat since is at work."""

FORGOTTEN = timedelta(days=1)


class BeatQuerySet(models.QuerySet["Beat"]):
    def beat(self, process: str) -> None:
        """Leave this process's sign of life. Raises DatabaseError."""
        me = psutil.Process()
        now = timezone.now()
        self.update_or_create(
            process=process[:40],
            host=socket.gethostname()[:120],
            pid=os.getpid(),
            defaults={
                "seen_at": now,
                "memory_bytes": me.memory_info().rss,
                "threads": me.num_threads(),
                "descriptors": me.num_fds(),
            },
        )
        self.filter(seen_at__lt=now - FORGOTTEN).delete()

    def fresh(self) -> BeatQuerySet:
        """Of processes that are at work."""
        return self.filter(seen_at__gte=timezone.now() - FRESH)


class Beat(models.Model):
    """One process and when it last showed that it lives."""

    process = models.CharField(max_length=40, help_text="web, worker, or command.")
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    seen_at = models.DateTimeField(db_index=True)
    memory_bytes = models.PositiveBigIntegerField(help_text="Resident.")
    threads = models.PositiveIntegerField()
    descriptors = models.PositiveIntegerField()

    objects = BeatQuerySet.as_manager()

    class Meta:
        ordering = ("process", "host", "pid")
        constraints = (
            models.UniqueConstraint(fields=("process", "host", "pid"), name="one_beat_a_process"),
        )

    def __str__(self) -> str:
        return f"{self.process} {self.pid} on {self.host}"
