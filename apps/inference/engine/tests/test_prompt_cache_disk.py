"""The prompt cache on disk: what comes back, and what a damaged disk costs."""

import random
import shutil
import threading

import mlx.core as mx
import pytest

from apps.inference.engine.errors import EntryNotFound
from apps.inference.engine.prompt_cache import disk
from apps.inference.engine.prompt_cache.cache import MIN_REUSE, Mark
from apps.inference.engine.prompt_cache.spans import KVSpan
from apps.inference.engine.tests.cached import (
    HEADS,
    MODEL,
    SYSTEM,
    TOKEN_BYTES,
    WIDTH,
    assert_right,
    remember,
)
from apps.inference.engine.tests.damage import FAULTS, delete, files_of


def test_what_was_evicted_from_memory_comes_back_from_disk(open_cache):
    cache = open_cache(max_entries=1)
    one = (1, *range(20))
    remember(cache, one)
    cache._tiers.disk.flush(60)
    cache.settle()
    remember(cache, (2, *range(20)))
    hit = cache.lookup("n", (*one, 99))
    assert hit.tokens == len(one)
    assert_right(hit, (*one, 99))
    assert cache.stats().disk_hits == 1


def test_what_is_evicted_before_it_is_written_is_not_lost(open_cache):
    cache = open_cache(max_entries=1)
    go_on = threading.Event()
    cache._tiers.disk._jobs.put(lambda: go_on.wait(60))
    prompts = [(n, *SYSTEM) for n in range(4)]
    for prompt in prompts:
        remember(cache, prompt)
    assert [entry.on_disk for entry in cache.entries()] == [False] * 4
    for prompt in prompts:
        assert_right(cache.lookup("n", (*prompt, 9)), (*prompt, 9))
    go_on.set()
    cache.close()
    again = open_cache()
    assert [again.lookup("n", (*prompt, 9)).tokens for prompt in prompts] == [31] * 4


def test_a_prompt_larger_than_the_memory_budget_comes_from_disk(open_cache):
    cache = open_cache(max_memory_bytes=10 * TOKEN_BYTES)
    remember(cache, SYSTEM)
    assert cache.stats().memory_bytes == 0
    assert cache.lookup("n", (*SYSTEM, 9)).tokens == len(SYSTEM)
    assert cache.stats().memory_bytes <= 10 * TOKEN_BYTES


def test_a_restart_is_warm_and_keeps_pins_and_hits(open_cache):
    cache = open_cache()
    remember(cache, (*SYSTEM, 1, 2), system=len(SYSTEM), pinned=True)
    cache.lookup("n", (*SYSTEM, 7))
    before = {entry.id: (entry.hits, entry.pinned) for entry in cache.entries()}
    cache.close()
    again = open_cache()
    assert {entry.id: (entry.hits, entry.pinned) for entry in again.entries()} == before
    hit = again.lookup("n", (*SYSTEM, 8))
    assert hit.tokens == len(SYSTEM)
    assert_right(hit, (*SYSTEM, 8))


def test_an_undamaged_folder_counts_no_errors(open_cache):
    for _ in range(3):
        cache = open_cache(max_entries=3)
        for n in range(6):
            remember(cache, (*SYSTEM, n, *range(n)), system=len(SYSTEM))
            cache.lookup("n", (*SYSTEM, n // 2, 7))
        assert cache.stats().disk_errors == 0
        cache.close()


# An entry file that is gone leaves no trace where other entries stand on its KV.
NOTICED = [(f, s) for f in FAULTS for s in (".kv", ".entry") if (f, s) != (delete, ".entry")]


@pytest.mark.parametrize(("fault", "suffix"), NOTICED)
def test_damage_is_logged_and_counted(open_cache, tmp_path, caplog, fault, suffix):
    cache = open_cache()
    for n in range(4):
        remember(cache, (*SYSTEM, n, n), system=len(SYSTEM))
    cache.close()
    files = [path for path in files_of(tmp_path / "cache") if path.suffix == suffix]
    fault(tmp_path / "cache", files, random.Random(1))
    caplog.clear()
    again = open_cache()
    for n in range(4):
        asked = (*SYSTEM, n, n, 9)
        assert_right(again.lookup("n", asked), asked)
    assert again.stats().disk_errors > 0
    assert any(record.levelname == "WARNING" for record in caplog.records)
    again.close()
    # Once is enough: what could not be used is gone.
    assert open_cache().stats().disk_errors == 0


def test_a_folder_that_vanishes_under_the_cache_is_made_anew(open_cache, tmp_path):
    cache = open_cache()
    remember(cache, SYSTEM)
    cache._tiers.disk.flush(60)
    shutil.rmtree(tmp_path / "cache")
    remember(cache, (1, *SYSTEM))
    cache.close()
    assert open_cache().lookup("n", (1, *SYSTEM, 1)).tokens == len(SYSTEM) + 1


def test_a_disk_slower_than_the_engine_costs_the_copy_and_no_memory(open_cache, monkeypatch):
    cache = open_cache()
    monkeypatch.setattr(disk, "_MAX_PENDING_BYTES", 100)
    started, go_on = threading.Event(), threading.Event()
    cache._tiers.disk._jobs.put(lambda: started.set() or go_on.wait(60))
    started.wait(60)
    for n in range(5):
        remember(cache, (n, *SYSTEM))
    go_on.set()
    cache._tiers.disk.flush(60)
    stats = cache.stats()
    assert stats.memory_entries == 5
    assert stats.disk_errors == 4
    assert cache.lookup("n", (4, *SYSTEM, 1)).tokens == len(SYSTEM) + 1


def test_a_long_record_is_not_read_for_its_first_few_tokens(open_cache):
    long = tuple(range(1000, 1400))
    cache = open_cache()
    remember(cache, long)
    cache.close()
    cache = open_cache()
    assert cache.lookup("n", (*long[:MIN_REUSE], 1, 2, 3)).tokens == 0
    assert cache.lookup("n", (*long[:20], 1, 2, 3)).tokens == 0
    assert cache.stats().disk_hits == 0
    hit = cache.lookup("n", (*long[:200], 1, 2, 3))
    assert hit.tokens == 200
    assert_right(hit, long)


def test_records_that_pay_together_are_read_whatever_each_alone_would_give(open_cache):
    first = tuple(range(1000, 1400))
    second = (*first[:5], *range(2000, 2400))
    cache = open_cache()
    remember(cache, first)
    remember(cache, second)
    cache.close()
    cache = open_cache()
    # The five shared tokens lie in the first one's record.
    hit = cache.lookup("n", (*second, 1))
    assert hit.tokens == len(second)
    assert_right(hit, second)


def test_an_evicted_entry_is_gone_from_disk_too(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM)
    cache.evict(cache.entries()[0].id)
    cache.close()
    again = open_cache()
    assert again.entries() == ()
    assert again.lookup("n", (*SYSTEM, 1)).tokens == 0
    assert again.stats().disk_bytes == 0


def test_clearing_leaves_nothing_behind(open_cache, tmp_path):
    cache = open_cache()
    for n in range(3):
        remember(cache, (*SYSTEM, n, n), system=len(SYSTEM))
    assert cache.clear() == 4
    cache.close()
    assert cache.stats().memory_bytes == 0
    again = open_cache()
    again.close()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_evicting_what_is_not_there_says_so(open_cache):
    with pytest.raises(EntryNotFound):
        open_cache().evict("missing")


def test_the_disk_budget_holds_and_what_stands_on_lost_records_is_shortened(open_cache):
    cache = open_cache(max_disk_bytes=100_000)
    for n in range(30):
        remember(cache, (n, *range(60)))
        cache._tiers.disk.flush(60)
        cache.settle()
        assert cache.stats().disk_bytes <= 100_000


def test_a_disk_that_fails_costs_nothing_but_the_copy(open_cache, tmp_path):
    cache = open_cache(min_free_disk_bytes=1 << 62)
    remember(cache, SYSTEM)
    cache._tiers.disk.flush(60)
    assert cache.stats().disk_errors > 0
    assert cache.lookup("n", (*SYSTEM, 1)).tokens == len(SYSTEM)


def test_bfloat16_survives_the_disk_bit_for_bit(open_cache):
    values = mx.random.normal((1, HEADS, 20, WIDTH)).astype(mx.bfloat16)
    cache = open_cache()
    tokens = tuple(range(20))
    cache.remember(
        "n",
        tokens,
        KVSpan(20, [(values, values)]),
        model=MODEL,
        marks=[Mark("system", 20, "system")],
    )
    cache.close()
    (span,) = open_cache().lookup("n", (*tokens, 1)).spans
    assert span.layers[0][0].dtype == mx.bfloat16
    assert mx.array_equal(span.layers[0][0], values)
