"""Figures with a present value, read from their sources when Prometheus asks.

The engine tells its own through its status protocol; jobs, downloads and signs of life are in
the database. A source that does not answer leaves its figures out: an absent series is true,
a zero would not be. ``mlxhub_up`` says which sources answered.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator

import psutil
from django.apps import apps as django_apps
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.discovery.downloads.models import Download
from apps.inference.engine.protocol import CacheStats, Status
from apps.inference.heartbeat import QueueUnreachable, last_beat_age
from apps.inference.snapshot import EngineSnapshot, look_at_engine
from apps.jobs.models import Job, JobState
from apps.system.alerts.conditions import KINDS
from apps.system.alerts.models import Alert
from apps.system.health.models import Beat
from apps.system.history.accelerator import accelerator_use

logger = logging.getLogger(__name__)


class HubCollector(Collector):
    """All of them, in the order of the sources."""

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "mlxhub_up", "Whether a source of figures answered.", labels=("source",)
        )
        seen = look_at_engine()
        up.add_metric(("engine",), float(seen.status is not None))
        yield from _engine(seen)
        for source, read in _SOURCES:
            try:
                yield from list(read())
            except (DatabaseError, QueueUnreachable, OSError) as error:
                logger.warning("Figures of the %s are missing: %s", source, error)
                up.add_metric((source,), 0.0)
            else:
                up.add_metric((source,), 1.0)
        yield up


def _gauge(name: str, says: str, value: float | None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mlxhub_{name}", says, value=value)


def _count(name: str, says: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"mlxhub_{name}", says, value=value)


def _by(label: str, name: str, says: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"mlxhub_{name}", says, labels=(label,))
    for key, value in values:
        family.add_metric((key,), value)
    return family


def _engine(seen: EngineSnapshot) -> Iterator[Metric]:
    if seen.status is None or seen.cache is None or seen.memory is None:
        return
    yield from _work(seen.status)
    yield from _accelerator(seen.status)
    memory = seen.memory
    yield _by(
        "owner",
        "engine_memory_bytes",
        "Memory under the engine's ceiling, by owner.",
        (
            ("weights", memory.weights),
            ("live_kv", memory.live_kv),
            ("prompt_cache", memory.prompt_cache),
            ("other", memory.other),
            ("held", memory.held),
        ),
    )
    yield _gauge("engine_memory_ceiling_bytes", "What they may come to.", memory.ceiling)
    yield from _cache(seen.cache)


def _work(status: Status) -> Iterator[Metric]:
    yield _gauge("engine_active_sequences", "Sequences in the batch.", status.active)
    yield _gauge("engine_queued_requests", "Requests that wait for a place.", status.queued)
    yield _gauge("engine_loaded_models", "Models in memory.", len(status.models))
    yield _count("engine_steps", "Completed steps.", status.steps)
    yield _count("engine_generated_tokens", "Tokens of all answers.", status.generated_tokens)
    yield _gauge("engine_loop_age_seconds", "Since its loop came round.", status.loop_age)
    yield _gauge(
        "engine_start_time_seconds", "When it started, since the epoch.", status.started_at
    )


def _accelerator(status: Status) -> Iterator[Metric]:
    """Named where the platform does not say, too, so that dashboards find them: without a value."""
    use = accelerator_use(status.accelerator.backend)
    share = None if use.percent is None else use.percent / 100
    yield _gauge("accelerator_use_ratio", "How busy the accelerator is, of 1.", share)
    yield _gauge("accelerator_memory_bytes", "What it has in use of memory.", use.memory_bytes)


def _cache(cache: CacheStats) -> Iterator[Metric]:
    tiers = ("memory", "disk")
    yield _by(
        "tier",
        "prompt_cache_entries",
        "Prompt cache entries.",
        zip(tiers, (cache.memory_entries, cache.disk_entries), strict=True),
    )
    yield _by(
        "tier",
        "prompt_cache_bytes",
        "KV of the prompt cache.",
        zip(tiers, (cache.memory_bytes, cache.disk_bytes), strict=True),
    )
    yield _by(
        "tier",
        "prompt_cache_max_bytes",
        "The prompt cache's budget.",
        zip(tiers, (cache.max_memory_bytes, cache.max_disk_bytes), strict=True),
    )
    yield _count("prompt_cache_hits", "Look-ups that found KV.", cache.total_hits)
    yield _count("prompt_cache_misses", "Look-ups that found none.", cache.total_misses)
    yield _count("prompt_cache_disk_hits", "Hits that came from disk.", cache.disk_hits)
    yield _count("prompt_cache_disk_errors", "Records that disk refused.", cache.disk_errors)
    yield _count("prompt_cache_evictions", "Entries that gave way.", cache.evictions)
    yield _count("prompt_cache_tokens_reused", "Prompt tokens not computed.", cache.tokens_reused)
    yield _count("prompt_cache_tokens_computed", "Prompt tokens computed.", cache.tokens_computed)
    yield _count("response_cache_hits", "Responses repeated.", cache.response_hits)
    yield _count("response_cache_misses", "Responses that were new.", cache.response_misses)


def _jobs() -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "mlxhub_jobs", "Jobs by kind and state, as their rows say.", labels=("kind", "state")
    )
    for model in django_apps.get_models():
        if issubclass(model, Job):
            rows = model._default_manager.order_by().values_list("state").annotate(Count("pk"))
            counts = dict(rows)
            for state in JobState.values:
                family.add_metric((model.__name__.lower(), state), counts.get(state, 0))
    yield family


def _downloads() -> Iterator[Metric]:
    queue = Download.objects.queue()
    yield _gauge("download_rate_bytes", "Bytes a second of running downloads.", queue.rate)
    left = max(0, queue.bytes_total - queue.bytes_done)
    yield _gauge("download_left_bytes", "What queued and running downloads lack.", left)


def _worker() -> Iterator[Metric]:
    age = last_beat_age()
    if age is not None:
        yield _gauge("worker_beat_age_seconds", "Since the worker's last sign of life.", age)


def _processes() -> Iterator[Metric]:
    for name, says, figure in (
        ("processes", "Processes that live, by kind.", Count("pk")),
        ("process_resident_bytes", "Resident memory, by kind of process.", Sum("memory_bytes")),
        ("process_threads", "Threads, by kind of process.", Sum("threads")),
        ("process_descriptors", "Open descriptors, by kind of process.", Sum("descriptors")),
    ):
        rows = Beat.objects.fresh().order_by().values_list("process").annotate(figure=figure)
        yield _by("process", name, says, rows)


def _machine() -> Iterator[Metric]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield _processor()
    disk = shutil.disk_usage(settings.HUB.data_dir)
    yield _gauge("machine_memory_bytes", "The machine's memory.", memory.total)
    yield _gauge("machine_memory_available_bytes", "What is available of it.", memory.available)
    yield _gauge("machine_swap_used_bytes", "Swap in use.", swap.used)
    yield _gauge("disk_bytes", "The data folder's disk.", disk.total)
    yield _gauge("disk_free_bytes", "What is free of it.", disk.free)


def _processor() -> CounterMetricFamily:
    """Seconds rather than a share: whoever asks says over which time."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux has what guests took among the users' time as well.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    family = CounterMetricFamily(
        "mlxhub_machine_cpu_seconds", "Processor time of all cores, by state.", labels=("state",)
    )
    family.add_metric(("busy",), sum(times) - guests - idle)
    family.add_metric(("idle",), idle)
    return family


def _alerts() -> Iterator[Metric]:
    rows = Alert.objects.firing().order_by().values_list("kind").annotate(Count("pk"))
    counts = dict(rows)
    yield _by(
        "kind",
        "alerts_firing",
        "Alerts that fire, by rule.",
        ((kind.key, counts.get(kind.key, 0)) for kind in KINDS),
    )


_SOURCES: tuple[tuple[str, Callable[[], Iterator[Metric]]], ...] = (
    ("jobs", _jobs),
    ("downloads", _downloads),
    ("worker", _worker),
    ("processes", _processes),
    ("machine", _machine),
    ("alerts", _alerts),
)
