"""Calls at a steady pace, whatever becomes of those before: ``python -m benchmarks.flood``.

In a process of its own, so that it does not hold up whoever measures beside it, and on bare
sockets: a flood comes from other machines, while this one's work is taken from the engine's
processors. A call takes 0.3 ms of one so, and 0.9 ms with an HTTP library.

Standard input has ``{"port", "path", "bodies", "seconds"}`` as JSON; the answer is a list of
``[status, seconds]`` of those that were refused, and how many were let in.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 60.0


@dataclass(frozen=True)
class Flood:
    refused: list[tuple[int, float]]
    """Status and seconds until the refusal was read."""
    admitted: int
    broken: int
    """Calls that got no answer at all."""


@contextmanager
def flooding(
    port: int, path: str, bodies: Sequence[dict[str, Any]], *, seconds: float
) -> Iterator[list[Flood]]:
    """A call for each of ``bodies`` in so many seconds, beside the block.

    Those let in are left to themselves. What became of all of them is in the list after the
    block, which does not end before the last of them is answered.
    """
    job = {"port": port, "path": path, "bodies": bodies, "seconds": seconds}
    outcome: list[Flood] = []
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.flood"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        yield outcome
        assert process.stdout is not None
        outcome.append(Flood(**json.load(process.stdout)))


async def _flood(port: int, path: str, bodies: Sequence[dict[str, Any]], seconds: float) -> Flood:
    refused: list[tuple[int, float]] = []
    admitted = broken = 0
    requests = [_request(port, path, body) for body in bodies]

    async def call(request: bytes) -> None:
        nonlocal admitted, broken
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                status = await _answered(port, request)
        except (OSError, EOFError, TimeoutError):
            broken += 1
            return
        if status == 200:
            admitted += 1
        else:
            refused.append((status, time.perf_counter() - begun))

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as calls:
        for number, request in enumerate(requests):
            due = begun + seconds * number / len(requests)
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            calls.create_task(call(request))
    return Flood(refused, admitted, broken)


def _request(port: int, path: str, body: dict[str, Any]) -> bytes:
    """A whole call, whose connection ends with its answer."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _answered(port: int, request: bytes) -> int:
    """The status of an answer that was read to its end.

    Raises OSError and EOFError where there is none, or half of one.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
    finally:
        writer.close()
    return int(head.split(b" ", 2)[1])


def _length(head: bytes) -> int:
    """Bytes after these header fields; every answer to a call like these tells them."""
    for field in head.split(b"\r\n"):
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise EOFError("an answer without its length")


def main() -> None:
    job = json.load(sys.stdin)
    print(json.dumps(asyncio.run(_flood(**job)).__dict__))


if __name__ == "__main__":
    main()
