"""The ceiling holds and what answers stays, whatever models are asked for in whatever order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apps.inference.engine.errors import (
    EngineFault,
    ModelBusy,
    ModelNotLoaded,
)
from apps.inference.engine.ledger import Footprint
from apps.inference.engine.tests.fake_models import spec
from apps.inference.engine.tests.pools import Pool


class PoolMachine(RuleBasedStateMachine):
    """Loads, uses, unloads, pins and drafts in any order."""

    NAMES = st.sampled_from("abcde")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(ceiling=6000)
        for i, name in enumerate("abcde"):
            self.pool.loader.sizes[name] = Footprint(700 * (i + 1), 100 * i, 1)
        self.pool.loader.vocabularies["d"] = "other"
        self.pool.loader.broken.add("e")
        self.loading = None
        self.staying: set[str] = set()
        """What was pinned, or in use, after the last step."""

    @precondition(lambda self: self.loading is None)
    @rule(
        name=NAMES,
        pinned=st.booleans(),
        ttl=st.sampled_from([None, 0, 5, 500]),
        draft=st.sampled_from([None, None, "a", "b", "d", "e"]),
    )
    def ask(self, name, pinned, ttl, draft):
        wanted = spec(name, pinned=pinned, ttl_seconds=ttl, draft=draft)
        model = self.pool.pool.find(wanted)
        if model is None:
            self.loading = self.pool.pool.load(wanted)
        else:
            assert model.spec.pinned == pinned

    @precondition(lambda self: self.loading is not None)
    @rule(parts=st.integers(1, 12))
    def load_on(self, parts):
        try:
            for _ in range(parts):
                if next(self.loading, None) is None:
                    self.loading = None
                    return
        except EngineFault:
            self.loading = None

    @precondition(lambda self: self.loading is not None)
    @rule()
    def give_up(self):
        self.loading.close()
        self.loading = None

    @rule(name=NAMES, share=st.floats(0, 1))
    def answer(self, name, share):
        if name in self.asked:
            used = self.pool.work.reserved_tokens(name)
            tokens = int(share * (self.pool.pool.kv_budget(name) - used))
            if tokens > 0:
                self.pool.work.running.setdefault(name, []).append(tokens)
                self.pool.pool.balance()

    @rule(name=NAMES)
    def finish(self, name):
        if running := self.pool.work.running.get(name):
            running.pop()

    @rule(seconds=st.integers(1, 1000))
    def wait(self, seconds):
        self.pool.clock.now += seconds
        self.pool.pool.unload_idle()

    @rule(name=NAMES)
    def unload(self, name):
        try:
            self.pool.pool.unload(name)
        except (ModelBusy, ModelNotLoaded):
            return
        assert not self.pool.work.uses(name)
        self.staying.discard(name)

    @property
    def asked(self):
        return {model.spec.name for model in self.pool.pool if model.asked_for}

    @invariant()
    def the_ceiling_holds(self):
        assert self.pool.pool.ledger().claimed <= 6000

    @invariant()
    def the_prompt_cache_gets_no_more_than_is_left(self):
        self.pool.pool.balance()
        assert self.pool.allowed + self.pool.pool.ledger().claimed <= 6000

    @invariant()
    def what_answers_or_is_pinned_stays(self):
        assert self.staying <= set(self.pool.names)
        busy = {name for name, running in self.pool.work.running.items() if running}
        pinned = {m.spec.name for m in self.pool.pool if m.spec.pinned and m.asked_for}
        self.staying = busy | pinned

    @invariant()
    def drafts_are_there_and_nobody_else_is_unasked_for(self):
        drafts = {model.draft.spec.name for model in self.pool.pool if model.draft}
        assert drafts <= set(self.pool.names)
        if self.loading is None:
            assert set(self.pool.names) - self.asked <= drafts


PoolMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestPoolMachine = PoolMachine.TestCase
