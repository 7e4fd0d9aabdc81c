"""Calls at a steady rate, whatever becomes of those before: ``python -m benchmarks.flood``.

In a process of its own, so that it does not hold up whoever measures beside it. Standard
input has ``{"url", "body", "rate", "seconds"}`` as JSON; the answer is a list of
``[status, seconds]`` of those that were refused, and how many were let in.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 60.0


@dataclass(frozen=True)
class Flood:
    refused: list[tuple[int, float]]
    """Status and seconds until the refusal was read."""
    admitted: int
    broken: int
    """Calls that got no answer at all."""


def flood(url: str, body: dict[str, Any], *, rate: float, seconds: float) -> Flood:
    """So many calls a second for so many seconds; those let in are left to themselves."""
    job = json.dumps({"url": url, "body": body, "rate": rate, "seconds": seconds})
    command = [sys.executable, "-m", "benchmarks.flood"]
    done = subprocess.run(
        command, input=job, check=True, stdout=subprocess.PIPE, text=True, timeout=600
    )
    return Flood(**json.loads(done.stdout))


async def _flood(url: str, body: dict[str, Any], rate: float, seconds: float) -> Flood:
    refused: list[tuple[int, float]] = []
    admitted = broken = 0

    async def call(client: httpx.AsyncClient) -> None:
        nonlocal admitted, broken
        begun = time.perf_counter()
        try:
            response = await client.post(url, json=body)
        except httpx.HTTPError:
            broken += 1
            return
        if response.is_success:
            admitted += 1
        else:
            refused.append((response.status_code, time.perf_counter() - begun))

    limits = httpx.Limits(max_connections=None)
    begun = time.perf_counter()
    async with (
        httpx.AsyncClient(timeout=PATIENCE, limits=limits, trust_env=False) as client,
        asyncio.TaskGroup() as calls,
    ):
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(begun + number / rate - time.perf_counter(), 0))
            calls.create_task(call(client))
    return Flood(refused, admitted, broken)


def main() -> None:
    job = json.load(sys.stdin)
    print(json.dumps(asyncio.run(_flood(**job)).__dict__))


if __name__ == "__main__":
    main()
