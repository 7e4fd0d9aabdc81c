"""The visitors at work, each in a thread, and how their visits went."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from mlxhub_site.soak.hub import SoakedHub
from mlxhub_site.soak.kinds import Kind, Refused, Visitor

LONGEST_VISIT = 300.0
"""Seconds without a word after which a visit counts as broken."""

REFUSED_PAUSE = 5.0
SHOWN_ERRORS = 5


@dataclass
class Tally:
    """How the visits of one kind went."""

    done: int = 0
    refused: int = 0
    errors: int = 0
    first_errors: list[str] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When a visit was over, and the seconds to its first word."""


@contextmanager
def traffic(
    hub: SoakedHub,
    kinds: Sequence[Kind],
    seed: int,
    transport: httpx2.BaseTransport | None = None,
) -> Iterator[dict[str, Tally]]:
    """Visitors of every kind until the block is left; then those on their way still arrive.

    Nobody waits for them where the block is left by an exception.
    """
    over = threading.Event()
    tallies = {kind.name: Tally() for kind in kinds}
    threads = [
        threading.Thread(
            target=_visit_on, args=(hub, kind, tallies[kind.name], seed + number, over, transport),
            name=f"soak {kind.name}", daemon=True,
        )
        for number, kind in enumerate(kinds)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    try:
        yield tallies
    finally:
        over.set()
    for thread in threads:
        thread.join()


def _visit_on(
    hub: SoakedHub,
    kind: Kind,
    tally: Tally,
    seed: int,
    over: threading.Event,
    transport: httpx2.BaseTransport | None,
) -> None:
    draw = random.Random(seed)  # noqa: S311 - which word is asked about
    with httpx2.Client(
        base_url=hub.url,
        timeout=LONGEST_VISIT,
        trust_env=False,
        follow_redirects=True,
        transport=transport,
    ) as http:
        visitor = Visitor(hub, http, draw)
        while not over.wait(kind.pause * draw.uniform(0.5, 1.5)):
            try:
                wait = kind.visit(visitor)
            except Refused:
                tally.refused += 1
                over.wait(REFUSED_PAUSE)
            except (httpx2.HTTPError, AssertionError, LookupError, ValueError) as error:
                tally.errors += 1
                if len(tally.first_errors) < SHOWN_ERRORS:
                    tally.first_errors.append(f"{type(error).__name__}: {error}"[:500])
            else:
                tally.done += 1
                if wait is not None:
                    tally.waits.append((time.monotonic(), wait))
