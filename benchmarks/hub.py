"""A hub of its own for a benchmark, and a client that takes the times of one answer."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.hub_process import STARTER, HubProcess, running_hub

ANSWER_SECONDS = 600.0


@dataclass
class Answer:
    """Times are seconds on the clock of ``time.perf_counter``."""

    asked_at: float
    token_times: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    cached_tokens: int = 0

    @property
    def time_to_first_token(self) -> float:
        return self.token_times[0] - self.asked_at


@dataclass(frozen=True)
class BenchmarkHub:
    process: HubProcess

    @property
    def model_path(self) -> Path:
        return self.process.home / "models" / STARTER

    def ask(self, messages: list[dict[str, str]], *, max_tokens: int) -> Answer:
        """One streamed greedy answer over HTTP."""
        body = {
            "model": STARTER,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.process.port, timeout=ANSWER_SECONDS
        )
        answer = Answer(time.perf_counter())
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(body),
            {"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(f"the hub answered {response.status}: {response.read()[:500]!r}")
        for line in response:
            _take(answer, line)
        connection.close()
        return answer


def _take(answer: Answer, line: bytes) -> None:
    if not line.startswith(b"data: {"):
        return
    chunk = json.loads(line.removeprefix(b"data: "))
    if "error" in chunk:
        raise RuntimeError(chunk["error"]["message"])
    if chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
        answer.token_times.append(time.perf_counter())
    if usage := chunk.get("usage"):
        answer.prompt_tokens = usage["prompt_tokens"]
        answer.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"]


@contextmanager
def benchmark_hub() -> Iterator[BenchmarkHub]:
    """`mlx-hub up` in an empty folder, with the starter model loaded."""
    with running_hub() as process:
        hub = BenchmarkHub(process)
        hub.ask([{"role": "user", "content": "Hello"}], max_tokens=4)
        yield hub
