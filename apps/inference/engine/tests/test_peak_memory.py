"""The peak of the engine's memory can be counted anew."""

from __future__ import annotations

import mlx.core as mx
import pytest

from apps.inference.engine import protocol
from apps.inference.engine.tests.harness import SteppedEngine


@pytest.fixture
def engine(profile, tmp_path):
    stepped = SteppedEngine(profile, tmp_path)
    yield stepped
    stepped.engine._cache.close()


def peak(engine: SteppedEngine) -> int:
    engine.engine.turn(wait=False)
    return engine.engine.snapshot.current_status().peak_memory_bytes


def test_a_reset_forgets_what_was_freed_and_keeps_what_is_held(engine):
    held = mx.zeros((1 << 18,))
    mx.eval(held)
    mx.eval(mx.zeros((1 << 24,)))
    before = peak(engine)

    assert isinstance(engine.ask(protocol.ResetPeakMemory()).last, protocol.Ok)

    after = peak(engine)
    assert before - after > 1 << 25
    assert after >= held.nbytes
