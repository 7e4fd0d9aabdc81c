"""The prompt cache never gives back KV that is not the prompt's own, whatever happens to it."""

import json
import random
import shutil
import tempfile
import threading
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from apps.inference.engine.config import PromptCacheConfig
from apps.inference.engine.errors import EntryNotFound
from apps.inference.engine.prompt_cache import disk
from apps.inference.engine.prompt_cache.cache import MIN_REUSE, Mark, PromptCache
from apps.inference.engine.prompt_cache.checkpoints import Checkpoint, PartState
from apps.inference.engine.prompt_cache.spans import KVSpan
from apps.inference.engine.protocol import ModelSpec
from apps.inference.engine.tests.damage import FAULTS, delete, files_of

MODEL = ModelSpec(name="tiny", path="/nowhere", digest="d")
LAYERS, HEADS, WIDTH = 2, 2, 4
TOKEN_BYTES = LAYERS * 2 * HEADS * WIDTH * 4


def kv(tokens, start=0, *, exact=False):
    """KV in which every number tells its token and its position.

    With ``exact`` there is a checkpoint that tells of all tokens.
    """
    numbers = np.array(
        [token * 1000 + position for position, token in enumerate(tokens)], dtype=np.float32
    )[start:]
    block = np.broadcast_to(numbers[None, None, :, None], (1, HEADS, len(numbers), WIDTH))
    layers = [(mx.array(block + layer), mx.array(-block - layer)) for layer in range(LAYERS)]
    return KVSpan(len(numbers), layers, checkpoint(tokens) if exact else None)


def checkpoint(tokens):
    return Checkpoint((PartState("state", (mx.array([tokens]), None)),))


def remember(cache, tokens, *, system=0, namespace="n", pinned=False, exact=False):
    tokens = tuple(tokens)
    covered = cache.covered(namespace, tokens, exact=exact)
    marks = [Mark("conversation", len(tokens), "hello", pinned)]
    if system:
        marks.insert(0, Mark("system", system, "system"))
    span = kv(tokens, covered, exact=exact) if covered < len(tokens) else None
    cache.remember(namespace, tokens, span, model=MODEL, marks=marks)


def assert_right(hit, tokens, *, exact=False):
    """What a hit returns is exactly the KV, or the state, of the prompt's beginning."""
    if not hit.tokens:
        assert hit.spans == []
        return
    expected = kv(tokens[: hit.tokens])
    for layer in range(LAYERS):
        for part in range(2):
            found = mx.concatenate([span.layers[layer][part] for span in hit.spans], axis=2)
            assert mx.array_equal(found, expected.layers[layer][part])
    if exact:
        (state,) = hit.spans[-1].checkpoint.parts
        assert state.arrays[0].tolist() == [list(tokens[: hit.tokens])]
        assert state.arrays[1] is None


@pytest.fixture
def open_cache(tmp_path):
    opened = []

    def make(**options):
        options = {"max_entries": 10, "min_free_disk_bytes": 0, **options}
        cache = PromptCache(PromptCacheConfig(directory=tmp_path / "cache", **options))
        opened.append(cache)
        return cache

    yield make
    for cache in opened:
        cache.close()


SYSTEM = tuple(range(100, 130))


def test_the_longest_common_beginning_is_reused(open_cache):
    cache = open_cache()
    remember(cache, (*SYSTEM, 1, 2, 3))
    asked = (*SYSTEM, 1, 2, 9, 9)
    hit = cache.lookup("n", asked)
    assert hit.tokens == len(SYSTEM) + 2
    assert_right(hit, asked)


def test_an_exact_repeat_leaves_one_token_to_compute(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM)
    assert cache.lookup("n", SYSTEM).tokens == len(SYSTEM) - 1


def test_a_match_of_a_few_tokens_is_no_hit(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM)
    asked = (*SYSTEM[: MIN_REUSE - 1], 1, 2, 3)
    assert cache.lookup("n", asked).tokens == 0
    assert cache.stats().total_misses == 1


def test_namespaces_share_nothing(open_cache):
    cache = open_cache()
    remember(cache, SYSTEM, namespace="one")
    assert cache.lookup("other", (*SYSTEM, 1)).tokens == 0


def test_conversations_over_one_system_prompt_hold_it_once(open_cache):
    cache = open_cache(max_entries=60)
    for user in range(50):
        remember(cache, (*SYSTEM, 200 + user, 300 + user), system=len(SYSTEM))
    assert cache.stats().memory_bytes == (len(SYSTEM) + 50 * 2) * TOKEN_BYTES


def test_a_conversation_that_goes_on_keeps_one_entry(open_cache):
    cache = open_cache()
    for turns in range(1, 5):
        remember(cache, (*SYSTEM, *range(turns * 3)), system=len(SYSTEM))
    kinds = [entry.kind for entry in cache.entries()]
    assert sorted(kinds) == ["conversation", "system"]


def test_the_least_recently_used_entry_goes_first(open_cache):
    cache = open_cache(max_entries=2, max_disk_bytes=0)
    one, two, three = ((n, *range(20)) for n in (1, 2, 3))
    remember(cache, one)
    remember(cache, two)
    cache.lookup("n", (*one, 99))
    remember(cache, three)
    assert cache.lookup("n", (*two, 99)).tokens == 0
    assert cache.lookup("n", (*one, 99)).tokens == len(one)


def test_a_pinned_entry_outlives_younger_ones(open_cache):
    cache = open_cache(max_entries=2, max_disk_bytes=0)
    remember(cache, (1, *range(20)), pinned=True)
    for n in range(2, 6):
        remember(cache, (n, *range(20)))
    assert cache.lookup("n", (1, *range(20), 99)).tokens == 21


def test_the_byte_budget_holds(open_cache):
    cache = open_cache(max_memory_bytes=50 * TOKEN_BYTES, max_disk_bytes=0)
    for n in range(6):
        remember(cache, (n, *range(20)))
        assert cache.stats().memory_bytes <= 50 * TOKEN_BYTES
    assert cache.stats().evictions > 0


def test_what_was_evicted_from_memory_comes_back_from_disk(open_cache):
    cache = open_cache(max_entries=1)
    one = (1, *range(20))
    remember(cache, one)
    cache._tiers.disk.flush(10)
    cache.settle()
    remember(cache, (2, *range(20)))
    hit = cache.lookup("n", (*one, 99))
    assert hit.tokens == len(one)
    assert_right(hit, (*one, 99))
    assert cache.stats().disk_hits == 1


def test_what_is_evicted_before_it_is_written_is_not_lost(open_cache):
    cache = open_cache(max_entries=1)
    go_on = threading.Event()
    cache._tiers.disk._jobs.put(lambda: go_on.wait(10))
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
    cache._tiers.disk.flush(10)
    shutil.rmtree(tmp_path / "cache")
    remember(cache, (1, *SYSTEM))
    cache.close()
    assert open_cache().lookup("n", (1, *SYSTEM, 1)).tokens == len(SYSTEM) + 1


def test_a_disk_slower_than_the_engine_costs_the_copy_and_no_memory(open_cache, monkeypatch):
    cache = open_cache()
    monkeypatch.setattr(disk, "_MAX_PENDING_BYTES", 100)
    started, go_on = threading.Event(), threading.Event()
    cache._tiers.disk._jobs.put(lambda: started.set() or go_on.wait(10))
    started.wait(10)
    for n in range(5):
        remember(cache, (n, *SYSTEM))
    go_on.set()
    cache._tiers.disk.flush(10)
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
        cache._tiers.disk.flush(10)
        cache.settle()
        assert cache.stats().disk_bytes <= 100_000


def test_a_disk_that_fails_costs_nothing_but_the_copy(open_cache, tmp_path):
    cache = open_cache(min_free_disk_bytes=1 << 62)
    remember(cache, SYSTEM)
    cache._tiers.disk.flush(10)
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


def content(path):
    """What orders files alike in every run: entries have random names."""
    if path.suffix != ".entry":
        return "", path.parent.name + path.name
    try:
        entry = json.loads(path.read_bytes().partition(b"\n")[2])
        return str(entry["tokens"]), entry["kind"]
    except (ValueError, KeyError):
        return "damaged", ""


class CacheMachine(RuleBasedStateMachine):
    """Prompts over a tiny alphabet, restarts and damage on disk; KV must always be right."""

    exact = False
    prompts = st.lists(st.integers(0, 1), min_size=MIN_REUSE, max_size=24).map(tuple)

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.cache = self.open()

    def settle(self):
        """Wait for the writer, so that every run of the machine sees the same disk."""
        self.cache._tiers.disk.flush(10)
        self.cache.settle()
        self.cache._tiers.disk.flush(10)

    def open(self):
        return PromptCache(
            PromptCacheConfig(
                directory=self.directory,
                max_entries=4,
                max_memory_bytes=80 * TOKEN_BYTES,
                max_disk_bytes=60_000,
                min_free_disk_bytes=0,
            )
        )

    @rule(tokens=prompts, system=st.integers(0, 8), pinned=st.booleans())
    def remember(self, tokens, system, pinned):
        if self.exact and system:
            # As the engine does: a checkpoint at each mark, in order.
            remember(self.cache, tokens[:system], system=system, exact=True)
        remember(self.cache, tokens, system=system, pinned=pinned, exact=self.exact)
        self.settle()

    @rule(tokens=prompts)
    def lookup(self, tokens):
        hit = self.cache.lookup("n", tokens, exact=self.exact)
        assert hit.tokens <= hit.matched < len(tokens)
        assert_right(hit, tokens, exact=self.exact)
        self.settle()

    @rule(which=st.integers(0, 20))
    def evict(self, which):
        # Drawn as a number: what is there may depend on how the clock ticked.
        entries = self.cache.entries()
        if not entries:
            return
        entry = entries[which % len(entries)]
        self.cache.evict(entry.id)
        assert entry.id not in [other.id for other in self.cache.entries()]
        self.settle()

    @rule()
    def restart(self):
        self.cache.close()
        self.cache = self.open()
        self.settle()

    @rule(fault=st.sampled_from(FAULTS), seed=st.integers(0, 1000))
    def damage_the_folder(self, fault, seed):
        files = sorted(files_of(self.directory), key=content)
        if files:
            fault(self.directory, files, random.Random(seed))

    @invariant()
    def budgets_hold(self):
        stats = self.cache.stats()
        assert stats.memory_bytes <= stats.max_memory_bytes
        assert stats.memory_entries <= stats.max_entries

    @invariant()
    def every_leaf_has_an_entry_and_every_entry_its_kv(self):
        tree = self.cache._tiers.tree("n")
        for node in tree.nodes():
            assert node.children or node.entry is not None
        for entry in self.cache._tiers.entries:
            assert all(node.span or node.stored for node in entry.node.path())
        assert tree.memory_bytes == sum(node.span.nbytes for node in tree.nodes() if node.span)

    def teardown(self):
        self.cache.close()
        shutil.rmtree(self.directory)


class CheckpointMachine(CacheMachine):
    """The same for a model with layers that can't be cut."""

    exact = True


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(deadline=None, max_examples=80, stateful_step_count=40)
TestCheckpointMachine = CheckpointMachine.TestCase
TestCheckpointMachine.settings = TestCacheMachine.settings
