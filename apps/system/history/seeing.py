"""What is seen at each look: figures by series.

Names of series: what it is about, a dot, what it is; where there is one for each of several,
a colon and which. Bytes, seconds, percent of 100, or a number.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress

import psutil
from django.conf import settings
from django.db.models import Max, Q, Sum

from apps.inference.engine.protocol import Status
from apps.inference.snapshot import EngineSnapshot, look_at_engine
from apps.inference.usage.models import RequestRecord
from apps.observability.instruments import BETWEEN_TOKENS, FIRST_TOKEN, count_answer
from apps.playground.models import Message
from apps.system.health.models import Beat
from apps.system.history.accelerator import accelerator_use

Seen = dict[str, list[float]]


class Watcher:
    """Looks again and again; remembers what the next look is compared with."""

    def __init__(self) -> None:
        self._tokens: tuple[int, int, float] | None = None
        """Engine's process, its tokens so far, and when that was."""
        self._records = RequestRecord.objects.aggregate(last=Max("pk"))["last"] or 0
        self._messages = Message.objects.aggregate(last=Max("pk"))["last"] or 0
        self._open: set[int] = set(Message.objects.running().values_list("pk", flat=True))

    def look(self, *, at: float) -> Seen:
        """Everything, now. Raises DatabaseError."""
        engine = look_at_engine()
        seen: Seen = {name: [value] for name, value in _machine().items()}
        seen |= {name: [value] for name, value in _memory(engine)}
        if engine.status is not None:
            seen |= {name: [value] for name, value in self._work(engine.status, at)}
        seen |= {name: [value] for name, value in _processes(engine.status)}
        for name, values in (*self._requests().items(), *self._chats().items()):
            seen.setdefault(name, []).extend(values)
        return seen

    def _work(self, status: Status, at: float) -> Iterator[tuple[str, float]]:
        yield "engine.active", status.active
        yield "engine.queued", status.queued
        last, self._tokens = self._tokens, (status.pid, status.generated_tokens, at)
        if last is not None and last[0] == status.pid and at > last[2]:
            yield "engine.tokens", (status.generated_tokens - last[1]) / (at - last[2])
        use = accelerator_use(status.accelerator.backend)
        if use.percent is not None:
            yield "accelerator.use", use.percent
        if use.memory_bytes is not None:
            yield "accelerator.memory", use.memory_bytes

    def _requests(self) -> Seen:
        """What became of API requests since the last look."""
        new = RequestRecord.objects.filter(pk__gt=self._records).order_by("pk")
        rows = list(new.values_list("pk", "status", "time_to_first_token", "tokens_per_second"))
        self._records = rows[-1][0] if rows else self._records
        return {
            "requests.count": [float(len(rows))],
            "requests.failed": [float(sum(status >= 500 for _, status, _, _ in rows))],
            "answers.ttft": [ttft for _, _, ttft, _ in rows if ttft is not None],
            "answers.rate": [rate for _, _, _, rate in rows if rate is not None],
        }

    def _chats(self) -> Seen:
        """Answers of the playground that ended since the last look; Prometheus hears of them."""
        wanted = Q(pk__in=self._open) | Q(pk__gt=self._messages)
        rows = list(Message.objects.filter(wanted, role=Message.Role.ASSISTANT).order_by("pk"))
        self._open = {row.pk for row in rows if row.is_running}
        self._messages = max([self._messages, *(row.pk for row in rows)])
        ended = [row for row in rows if not row.is_running]
        for row in ended:
            _tell(row)
        return {
            "answers.ttft": [row.ttft for row in ended if row.ttft is not None],
            "answers.rate": [
                row.tokens_per_second for row in ended if row.tokens_per_second is not None
            ],
        }


def _tell(answer: Message) -> None:
    if answer.ttft is not None:
        FIRST_TOKEN.labels("playground").observe(answer.ttft)
    if answer.tokens_per_second:
        BETWEEN_TOKENS.labels("playground").observe(1 / answer.tokens_per_second)
    count_answer(
        "playground",
        prompt_tokens=answer.prompt_tokens or 0,
        cached_tokens=answer.cached_tokens or 0,
        completion_tokens=answer.completion_tokens or 0,
    )


def _machine() -> Mapping[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    seen = {
        "machine.memory": memory.total - memory.available,
        "machine.swap": swap.used,
        "machine.cpu": psutil.cpu_percent(),
    }
    with suppress(OSError):  # a disk that was taken away
        seen["disk.free"] = shutil.disk_usage(settings.HUB.data_dir).free
    return seen


def _memory(engine: EngineSnapshot) -> Iterator[tuple[str, float]]:
    """What the engine and jobs hold, by owner."""
    memory = engine.memory
    if memory is None or engine.status is None:
        return
    for model in engine.status.models:
        yield f"memory.weights:{model.name}", model.weights_bytes
    for held in engine.status.held:
        yield f"memory.held:{held.name}", held.bytes
    yield "memory.live_kv", memory.live_kv
    yield "memory.prompt_cache", memory.prompt_cache
    yield "memory.other", memory.other
    yield "engine.memory", memory.used


def _processes(engine: Status | None) -> Iterator[tuple[str, float]]:
    rows = Beat.objects.fresh().order_by().values_list("process").annotate(Sum("memory_bytes"))
    for process, nbytes in rows:
        if process != "command":
            yield f"process.memory:{process}", nbytes
    if engine is not None:
        with suppress(psutil.Error):  # it ended just now
            yield "process.memory:engine", psutil.Process(engine.pid).memory_info().rss
