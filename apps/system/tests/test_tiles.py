"""Numbers as the pages write them: tiles, the memory bar, the shell's filters."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.protocol import CacheStats
from apps.inference.snapshot import EngineSnapshot, MemoryUse, look_at_engine
from apps.system.templatetags.shell import ago, code_spans, percent, scaled, thousands
from apps.system.tiles import BAR_WIDTH, cache_tiles, engine_tiles, memory_parts
from tests.fake_engine import FakeEngine

SIZE = st.integers(min_value=0, max_value=2**45)


def stats(**fields: Any) -> CacheStats:
    return CacheStats(**(dict.fromkeys(CacheStats.model_fields.keys() - {"event"}, 0) | fields))


@given(SIZE, SIZE, SIZE, SIZE, SIZE)
def test_the_memory_bars_parts_lie_side_by_side_and_never_past_its_end(
    weights: int, live_kv: int, prompt_cache: int, total: int, ceiling: int
) -> None:
    parts = memory_parts(MemoryUse(weights, live_kv, prompt_cache, total, ceiling))
    for left, right in pairwise(parts):
        assert right.start == pytest.approx(left.start + left.width, abs=0.02)
    assert all(part.width >= 0 for part in parts)
    assert parts[-1].start + parts[-1].width <= BAR_WIDTH + 0.02


def test_an_engine_that_is_down_has_no_tiles() -> None:
    assert engine_tiles(EngineSnapshot(status=None, cache=None, error=None)) == []


@pytest.mark.parametrize(
    ("age", "note"), [(None, "none yet"), (0.13, "last 0.1 s ago"), (180.0, "last 3 min ago")]
)
def test_the_last_step_is_told_in_words(
    fake_engine: FakeEngine, age: float | None, note: str
) -> None:
    fake_engine.status["last_step_age"] = age
    tiles = {tile.label: tile for tile in engine_tiles(look_at_engine())}
    assert tiles["Engine steps"].note == note


def test_disk_errors_show_only_when_there_are_some() -> None:
    assert "Disk errors" not in {tile.label for tile in cache_tiles(stats())}
    (tile,) = [tile for tile in cache_tiles(stats(disk_errors=2)) if tile.label == "Disk errors"]
    assert (tile.value, tile.tone) == ("2", "bad")


def test_a_disk_tier_without_a_budget_is_switched_off() -> None:
    tiles = {tile.label: tile for tile in cache_tiles(stats(max_disk_bytes=0))}
    assert tiles["On disk"].note == "switched off"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (134_515_008, "135M"),
        (7_241_732_096, "7.24B"),
        (23_572_403_200, "23.6B"),
        (1_000_000_000_000, "1T"),
    ],
)
def test_counts_are_written_in_three_digits(number: int, text: str) -> None:
    assert scaled(number) == text


def test_whole_numbers_have_separators() -> None:
    assert thousands(131072) == "131,072"


def test_fractions_are_written_as_percentages() -> None:
    assert percent(0.876) == "88%"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (50, "just now"), (61, "1 min ago"), (7300, "2 h ago"), (200000, "2 d ago")],
)
def test_moments_are_told_from_now(seconds: int, text: str) -> None:
    written = ago(time.time() - seconds)
    assert f">{text}</time>" in written
    assert 'datetime="' in written


def test_backticks_become_code_and_markup_stays_text() -> None:
    assert code_spans("Run `mlx-hub up` <now>.") == "Run <code>mlx-hub up</code> &lt;now&gt;."
    assert code_spans("`<b>`") == "<code>&lt;b&gt;</code>"
    assert code_spans("one ` alone") == "one ` alone"


def test_repeated_responses_show_only_where_they_are_kept() -> None:
    assert "Responses repeated" not in {tile.label for tile in cache_tiles(stats())}
    tiles = {
        tile.label: tile
        for tile in cache_tiles(
            stats(response_max_bytes=2**20, response_hits=3, response_misses=9, response_entries=2)
        )
    }
    assert tiles["Responses repeated"].value == "3 of 12"
    assert tiles["Responses repeated"].note.startswith("2 kept")
