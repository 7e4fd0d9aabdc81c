"""The batch loop that the engine runs on, alone in a process: the yardstick for decoding.

No scheduler, no prompt cache, no text, no socket: the difference to the hub is what
all of that costs. Reads one JSON job per line from standard input: the model's folder
comes as the argument, a job names chats and how many tokens to generate. Answers each
with the times at which every row got its tokens.
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
    from apps.models.runtime import cpu, loading

    if profile.backend == "cpu":
        cpu.install()
    loaded = loading.load(folder, profile)
    for line in sys.stdin:
        job = json.loads(line)
        prompts = [
            loaded.tokenizer.apply_chat_template(chat, add_generation_prompt=True)
            for chat in job["chats"]
        ]
        print(json.dumps(_generate(loaded, prompts, job["max_tokens"])), flush=True)


def _generate(loaded: Any, prompts: list[list[int]], max_tokens: int) -> list[list[float]]:
    from apps.inference.engine.protocol import Sampling
    from apps.inference.engine.runner import BatchRunner
    from apps.inference.engine.sampling import RowSampler
    from apps.inference.engine.scheduler import Chunk
    from apps.inference.engine.sequence import Sequence

    runner = BatchRunner(loaded.model, padding_allowed=sys.maxsize)
    times: dict[int, list[float]] = {}
    for prompt in prompts:
        sequence = Sequence("model", "client", tuple(prompt), max_tokens)
        runner.begin(sequence, RowSampler(Sampling(temperature=0.0)), [])
        runner.prefill([Chunk(sequence, 0, len(prompt))])
        times[sequence.id] = [time.perf_counter()]
    answering = len(prompts)
    while answering:
        decoded = runner.decode()
        now = time.perf_counter()
        for row, token in decoded:
            times[row.id].append(now)
            if len(times[row.id]) == max_tokens or token in loaded.tokenizer.eos_token_ids:
                runner.remove([row])
                answering -= 1
    return list(times.values())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
