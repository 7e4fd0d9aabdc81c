"""mlx-lm's own batch loop in a process of its own, as the yardstick for decoding.

Reads one JSON job per line from standard input: the model's folder comes as the
argument, a job names chats and how many tokens to generate.
Answers each with the times at which every row got its tokens. Same weights,
same precision, same BLAS as the hub's engine: both load through the runtime.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.client import Chat


class BareLoop:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def generate(self, chats: list[Chat], *, max_tokens: int) -> list[list[float]]:
        """Token times of each chat's row, in seconds on one clock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"chats": chats, "max_tokens": max_tokens}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        times: list[list[float]] = json.loads(self._process.stdout.readline())
        return times


@contextmanager
def bare_loop(model: Path) -> Iterator[BareLoop]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_loop", str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield BareLoop(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _serve(folder: Path) -> None:
    from apps.models.runtime import accelerator

    profile = accelerator.prepare()
    from apps.models.runtime import loading

    loaded = loading.load(folder, profile)
    for line in sys.stdin:
        job = json.loads(line)
        prompts = [
            loaded.tokenizer.apply_chat_template(chat, add_generation_prompt=True)
            for chat in job["chats"]
        ]
        print(json.dumps(_generate(loaded, prompts, job["max_tokens"])), flush=True)


def _generate(loaded: Any, prompts: list[list[int]], max_tokens: int) -> list[list[float]]:
    from mlx_lm.generate import BatchGenerator

    generator = BatchGenerator(
        loaded.model,
        max_tokens=max_tokens,
        stop_tokens=[[token] for token in loaded.tokenizer.eos_token_ids],
    )
    times: dict[int, list[float]] = {uid: [] for uid in generator.insert(prompts)}
    while responses := generator.next_generated():
        now = time.perf_counter()
        for response in responses:
            times[response.uid].append(now)
    generator.close()
    return list(times.values())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
