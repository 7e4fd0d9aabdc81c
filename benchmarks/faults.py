"""Random damage to the prompt cache's folder: no crash, no wrong token, each counted.

An engine with a tiny model of each cache kind answers over a folder that is
damaged once a round, in turn while it runs and while it is stopped. Every answer
is compared with that of an engine without a disk tier.
"""

from __future__ import annotations

import logging
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.inference.engine import protocol
from apps.models.runtime import accelerator
from benchmarks.figures import Figure

_SYSTEM = "You are a patient teacher of geography and you answer briefly. "
_QUESTIONS = ("What is a delta?", "What is a dune?", "Name a river.", "x" * 90)


@dataclass
class Tally:
    """What happened in all rounds together."""

    faults: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    cached: int = 0
    wrong: int = 0
    failed: int = 0
    overwritten: Counter[str] = field(default_factory=Counter)
    """Damage to a file that was written anew before anybody read it."""
    unnoticed: Counter[str] = field(default_factory=Counter)


def disk_faults(count: int) -> Iterable[Figure]:
    """The figures of ``count`` faults."""
    tally = Tally()
    profile = accelerator.prepare()
    from apps.inference.engine.tests.tiny import ARCHITECTURES, write_tiny_model

    logging.getLogger("apps.inference").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        for i, kind in enumerate(ARCHITECTURES):
            path = write_tiny_model(Path(folder) / kind, kind)
            spec = protocol.ModelSpec(name=kind, path=str(path), digest=kind)
            share = count // len(ARCHITECTURES) + (i < count % len(ARCHITECTURES))
            _Victim(profile, spec, Path(folder) / f"{kind}-cache", tally).suffer(share, seed=i)
    for name, number in sorted(tally.faults.items()):
        print(f"  {number:5d} x {name}, {tally.overwritten[name]} overwritten unread")
    print(f"  {tally.answers} answers, {tally.cached} of them began in the cache")
    yield Figure("disk faults: wrong answers", tally.wrong, tally.answers, "count", at_most=0.0)
    yield Figure("disk faults: failed answers", tally.failed, tally.answers, "count", at_most=0.0)
    yield Figure(
        "disk faults: neither logged nor counted",
        tally.unnoticed.total(),
        tally.faults.total(),
        "count",
        at_most=0.0,
    )


class _Victim:
    """One model's engine and the folder that is damaged under it."""

    def __init__(
        self, profile: Any, spec: protocol.ModelSpec, directory: Path, tally: Tally
    ) -> None:
        from apps.inference.engine.tests.harness import chat

        self._profile = profile
        self._directory = directory
        self._tally = tally
        self._requests = [
            chat(spec, question, system=_SYSTEM, max_tokens=4) for question in _QUESTIONS
        ]
        with self._engine(directory / "oracle", max_disk_bytes=0, max_entries=0) as oracle:
            self._right = [oracle.answer(request).text for request in self._requests]

    def suffer(self, count: int, *, seed: int) -> None:
        """``count`` rounds: fill the folder, damage it, ask everything again, twice."""
        from apps.inference.engine.tests.damage import FAULTS, files_of, is_whole

        rng = random.Random(seed)
        cache = self._directory / "victim" / "cache"
        for number in range(count):
            fault = FAULTS[number % len(FAULTS)]
            running = rng.random() < 0.5
            with self._engine(self._directory / "victim") as engine:
                self._ask_all(engine, rng)
                errors = self._errors(engine)
                if running:
                    fault(cache, files_of(cache), rng)
                    self._ask_all(engine, rng)
                    errors = self._errors(engine) - errors
            if not running:
                fault(cache, files_of(cache), rng)
                errors = 0
            with self._engine(self._directory / "victim") as engine:
                self._ask_all(engine, rng)
                _read_everything(engine.engine._cache)
                errors += self._errors(engine)
            self._tally.faults[fault.__name__] += 1
            if not errors:
                whole = all(map(is_whole, files_of(cache)))
                outcome = self._tally.overwritten if whole else self._tally.unnoticed
                outcome[fault.__name__] += 1

    def _ask_all(self, engine: Any, rng: random.Random) -> None:
        order = list(range(len(self._requests)))
        rng.shuffle(order)
        for i in order:
            asked = engine.answer(self._requests[i])
            self._tally.answers += 1
            if not isinstance(asked.last, protocol.Done):
                self._tally.failed += 1
            else:
                self._tally.wrong += asked.text != self._right[i]
                self._tally.cached += asked.last.usage.cached_tokens > 0
        disk = engine.engine._cache._tiers.disk
        disk.flush(30)
        engine.engine.turn(wait=False)
        # What the engine now knows to be written may make other files superfluous.
        disk.flush(30)

    def _errors(self, engine: Any) -> int:
        errors: int = engine.engine._cache.stats().disk_errors
        return errors

    @contextmanager
    def _engine(self, directory: Path, **cache: int) -> Iterator[Any]:
        from apps.inference.engine.tests.harness import SteppedEngine

        # One entry in memory: what is asked comes from the disk nearly always.
        stepped = SteppedEngine(self._profile, directory, prompt_cache={"max_entries": 1, **cache})
        try:
            yield stepped
        finally:
            stepped.engine._cache.close()


def _read_everything(cache: Any) -> None:
    """Look up every entry to its last token, also those that no question leads to."""
    for entry in cache._tiers.entries:
        if entry.id in {listed.id for listed in cache.entries()}:
            cache.lookup(entry.namespace, (*entry.node.spelled(), 0))
