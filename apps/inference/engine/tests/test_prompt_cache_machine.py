"""The prompt cache never gives back KV that is not the prompt's own, whatever happens to it."""

import json
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from apps.inference.engine.config import PromptCacheConfig
from apps.inference.engine.prompt_cache.cache import MIN_REUSE, PromptCache
from apps.inference.engine.tests.cached import (
    TOKEN_BYTES,
    assert_right,
    remember,
)
from apps.inference.engine.tests.damage import FAULTS, files_of


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
        self.cache._tiers.disk.flush(60)
        self.cache.settle()
        self.cache._tiers.disk.flush(60)

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
