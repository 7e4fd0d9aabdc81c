"""Eight adapters over one base, one request each, in one batch: what that costs and changes.

`python -m benchmarks.adapters` writes the adapters into the hub of ``MLXHUB_HOME`` and
registers them: random ones of rank 8 over 16 blocks, as mlx-lm's defaults have them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apps.inference.benchmarks.measuring.figures import decode_rate
from apps.inference.benchmarks.measuring.prompts import Chat, story
from benchmarks.client import ChatServer
from benchmarks.figures import Figure, median_figure
from benchmarks.hub import benchmark_hub
from benchmarks.measures import DECODE_TOKENS
from benchmarks.rest import HubApi
from tests.hub_process import STARTER

ADAPTERS = tuple(f"random-{number}" for number in range(8))
ANSWER_TOKENS = 24
TOLERANCE = 1e-3
"""Of a token's log-probability: sums of float32 in another order."""


def adapter_figures(rounds: int) -> Iterable[Figure]:
    """Decoding with eight adapters against without, alternating; then each against itself alone."""
    with benchmark_hub() as (base, hub):
        command = [sys.executable, "-m", "benchmarks.adapters"]
        subprocess.run(command, env=hub.environment, check=True, timeout=300)
        models = [f"{STARTER}:{name}" for name in ADAPTERS]
        yield _throughput(base, models, rounds)
        yield from _same_answers(HubApi(hub), models)


def _throughput(base: ChatServer, models: list[str], rounds: int) -> Figure:
    mixed: list[float] = []
    plain: list[float] = []
    nothing: list[Mapping[str, Any]] = [{}] * len(models)
    adapted: list[Mapping[str, Any]] = [{"model": model} for model in models]
    # The first turn of each is not counted: it reads the adapters.
    for salt in range(-1, rounds):
        chats = [story(2000 + salt, client) for client in range(len(models))]
        for rates, options in ((plain, nothing), (mixed, adapted)):
            answers = base.ask_mixed(chats, options, max_tokens=DECODE_TOKENS)
            if salt >= 0:
                rates.append(decode_rate([answer.token_times for answer in answers]))
    name = "decode with 8 adapters / without, 8 clients"
    return median_figure(name, mixed, plain, "tok/s", at_least=0.8)


def _same_answers(api: HubApi, models: list[str]) -> Iterable[Figure]:
    chats = [story(3000, client) for client in range(len(models))]
    with ThreadPoolExecutor(len(models)) as pool:
        together = list(pool.map(lambda ask: _answer(api, *ask), zip(models, chats, strict=True)))
    alone = [_answer(api, model, chat) for model, chat in zip(models, chats, strict=True)]
    same = sum(
        [token for token, _ in one] == [token for token, _ in other]
        for one, other in zip(together, alone, strict=True)
    )
    yield Figure(
        "answers with the same tokens in the batch as alone", same, len(models), "", at_least=1.0
    )
    largest = max(
        abs(p - q)
        for one, other in zip(together, alone, strict=True)
        for (_, p), (_, q) in zip(one, other, strict=True)
    )
    yield Figure("largest difference of a log-probability", largest, TOLERANCE, "nats", at_most=1.0)
    different = len({tuple(token for token, _ in answer) for answer in alone})
    yield Figure("answers that differ from each other", different, len(models), "", at_least=1.0)


def _answer(api: HubApi, model: str, chat: Chat) -> list[tuple[str, float]]:
    """Greedy tokens and their log-probabilities."""
    body: dict[str, Any] = {"model": model, "messages": chat, "max_tokens": ANSWER_TOKENS}
    body |= {"temperature": 0, "logprobs": True}
    choice = api.post("/v1/chat/completions", body)["choices"][0]
    return [(token["token"], token["logprob"]) for token in choice["logprobs"]["content"]]


def _make() -> None:
    import os
    from pathlib import Path

    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "mlxhub_site.settings"
    django.setup()
    from django.conf import settings

    from apps.models.models import LocalModel
    from apps.models.runtime import accelerator, loading
    from apps.models.services import register_adapter

    starter = LocalModel.objects.get(slug=STARTER)
    profile = accelerator.prepare()
    from apps.inference.engine.adapters.tests.tiny_adapters import write_tiny_adapter

    for seed, name in enumerate(ADAPTERS):
        model = loading.load(Path(starter.path), profile).model
        folder = settings.HUB.adapters_dir / name
        write_tiny_adapter(folder, model, seed=seed, rank=8, scale=0.02, num_layers=16)
        register_adapter(base=starter, path=folder, slug=name, name=name)


if __name__ == "__main__":
    _make()
