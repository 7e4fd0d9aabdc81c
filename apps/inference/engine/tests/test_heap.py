from __future__ import annotations

import pytest

from apps.inference.engine import heap
from apps.models.runtime import c_heap


def test_the_heap_is_tidied_now_and_then_and_not_at_every_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: list[float] = []
    trims: list[float] = []
    monkeypatch.setattr(heap.time, "monotonic", lambda: turns[-1])
    monkeypatch.setattr(c_heap, "trim", lambda: trims.append(turns[-1]))

    turns.append(1000.0)
    kept = heap.Heap()
    for second in range(1000, 1100):
        turns.append(second)
        kept.tidy()

    assert trims == [*range(1010, 1100, 10)]
