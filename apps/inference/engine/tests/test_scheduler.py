"""The scheduler starves nobody, loses nothing and stays within its limits."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apps.inference.engine import sequence as sequence_module
from apps.inference.engine.errors import QueueFull
from apps.inference.engine.scheduler import PATIENCE, Limits, Scheduler
from apps.inference.engine.sequence import Phase, Sequence

LIMITS = Limits(max_batch=3, max_queue=6, chunk_tokens=8, busy_chunk_tokens=2)
BUDGET = 60


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def make(
    scheduler=None, *, model="m", client="c", prompt=4, max_tokens=5, first=0, batch=False, at=0.0
):
    """A prompt of ``prompt`` tokens that begins with ``first``."""
    sequence = Sequence(
        model, client, (first, *range(1, prompt)), max_tokens, batch=batch, submitted_at=at
    )
    if scheduler is not None:
        scheduler.submit(sequence)
    return sequence


def turn(scheduler):
    """One engine step, as the engine does it; the plan and its chunk."""
    plan = scheduler.schedule()
    if plan is None:
        return None, None
    for sequence in plan.preempted:
        sequence.begun = False
    for sequence in plan.prefilling:
        if not sequence.begun:
            sequence.begun, sequence.computed = True, 0
    chunks = scheduler.chunks(plan)
    for chunk in chunks:
        scheduler.prefilled(chunk)
    return plan, chunks[0] if chunks else None


@pytest.fixture
def scheduler():
    return Scheduler(LIMITS, lambda model: BUDGET)


def test_a_prompt_is_prefilled_in_chunks_and_then_decodes(scheduler):
    sequence = make(scheduler, prompt=20)
    chunks = [turn(scheduler)[1] for _ in range(3)]
    assert [(chunk.start, chunk.stop) for chunk in chunks] == [(0, 8), (8, 16), (16, 20)]
    assert sequence.phase is Phase.DECODE
    assert turn(scheduler)[0].decoding == (sequence,)


def test_chunks_are_small_while_others_decode(scheduler):
    make(scheduler, prompt=3)
    turn(scheduler)
    make(scheduler, prompt=9)
    _, chunk = turn(scheduler)
    assert chunk.stop - chunk.start == LIMITS.busy_chunk_tokens


def test_prefill_begins_behind_what_was_cached(scheduler):
    sequence = make(scheduler, prompt=20)
    plan = scheduler.schedule()
    sequence.computed = 17
    (chunk,) = scheduler.chunks(plan)
    assert (chunk.start, chunk.stop) == (17, 20)


def test_short_rests_of_prompts_are_prefilled_together(scheduler):
    for client, prompt in (("a", 3), ("b", 2), ("c", 9)):
        make(scheduler, prompt=prompt, client=client, max_tokens=1, first=ord(client))
    plan = scheduler.schedule()
    assert [chunk.sequence.client for chunk in scheduler.chunks(plan)] == ["a", "b"]


def test_a_full_queue_refuses_and_says_when_to_come_back(scheduler):
    for _ in range(LIMITS.max_queue):
        make(scheduler)
    with pytest.raises(QueueFull) as refusal:
        make(scheduler)
    assert refusal.value.retry_after > 0
    assert scheduler.queued == LIMITS.max_queue


def test_clients_take_turns_however_much_one_of_them_asks(scheduler):
    for _ in range(4):
        make(scheduler, client="greedy")
    modest = make(scheduler, client="modest")
    turn(scheduler)
    turn(scheduler)
    assert modest.phase is not Phase.WAITING


def test_a_short_prompt_need_not_wait_for_a_long_one():
    scheduler = Scheduler(LIMITS, lambda model: 1000)
    make(scheduler, prompt=5 * LIMITS.chunk_tokens, client="long", max_tokens=1)
    turn(scheduler)
    short = make(scheduler, prompt=3, client="short", first=99)
    turn(scheduler)
    turn(scheduler)
    assert short.phase is Phase.DECODE


def test_a_prompt_waits_for_another_that_computes_its_beginning():
    scheduler = Scheduler(Limits(3, 6, 50, 50), lambda model: 1000)
    first = make(scheduler, prompt=120, client="one")
    turn(scheduler)
    second = make(scheduler, prompt=110, client="two")
    turn(scheduler)
    assert second.phase is Phase.WAITING
    turn(scheduler)
    assert first.phase is Phase.DECODE
    turn(scheduler)
    assert second.phase is not Phase.WAITING


def test_nobody_overtakes_a_request_that_waits_for_room(scheduler):
    running = make(scheduler, prompt=4, max_tokens=40)
    turn(scheduler)
    big = make(scheduler, prompt=4, max_tokens=40, client="big")
    small = make(scheduler, prompt=4, max_tokens=1, client="small")
    turn(scheduler)
    assert (big.phase, small.phase) == (Phase.WAITING, Phase.WAITING)
    scheduler.finish(running)
    turn(scheduler)
    assert big.phase is not Phase.WAITING


def test_nobody_of_another_model_takes_the_memory_that_a_request_waits_for():
    shared = Scheduler(LIMITS, lambda model: 60 - shared.reserved_tokens("ab".replace(model, "")))
    running = make(shared, model="b", client="b", prompt=10, max_tokens=20)
    turn(shared)
    big = make(shared, model="a", client="a", prompt=40, max_tokens=10)
    later = make(shared, model="b", client="c", prompt=5, max_tokens=5)
    turn(shared)
    assert (big.phase, later.phase) == (Phase.WAITING, Phase.WAITING)
    shared.finish(running)
    turn(shared)
    assert big.phase is not Phase.WAITING


def test_rows_of_a_batch_count_as_long_as_its_longest():
    scheduler = Scheduler(LIMITS, lambda model: 79)
    long = make(scheduler, client="long", prompt=20, max_tokens=20)
    turn(scheduler)
    short = make(scheduler, client="short", prompt=2, max_tokens=2, first=9)
    turn(scheduler)
    assert short.phase is Phase.WAITING
    scheduler.finish(long)
    turn(scheduler)
    assert short.phase is not Phase.WAITING


def test_models_take_turns(scheduler):
    make(scheduler, model="a")
    make(scheduler, model="b", client="d")
    plans = [turn(scheduler)[0].model for _ in range(5)]
    assert set(plans[1:3]) == set(plans[3:5]) == {"a", "b"}


def test_a_sequence_larger_than_the_budget_runs_alone(scheduler):
    big = make(scheduler, prompt=BUDGET, max_tokens=BUDGET)
    small = make(scheduler, client="d")
    for _ in range(10):
        turn(scheduler)
    assert big.phase is Phase.DECODE
    assert small.phase is Phase.WAITING
    scheduler.finish(big)
    turn(scheduler)
    assert small.phase is Phase.DECODE


def test_batch_work_is_taken_up_after_whoever_waits_for_an_answer():
    scheduler = Scheduler(Limits(1, 6, 8, 2), lambda model: BUDGET, clock=Clock())
    running = make(scheduler)
    turn(scheduler)
    batch = make(scheduler, client="batch", batch=True)
    interactive = make(scheduler, client="person")
    scheduler.finish(running)
    turn(scheduler)
    assert (batch.phase, interactive.phase) == (Phase.WAITING, Phase.DECODE)


def test_batch_work_gives_its_place_to_whoever_waits_for_an_answer():
    scheduler = Scheduler(Limits(2, 6, 8, 2), lambda model: BUDGET, clock=Clock())
    batches = [make(scheduler, client="batch", batch=True, first=i) for i in range(2)]
    for _ in range(3):
        turn(scheduler)
    batches[1].generated.extend([7, 7])
    make(scheduler, client="person", first=9)
    plan = scheduler.schedule()
    assert plan.preempted == (batches[1],)
    assert batches[1].phase is Phase.WAITING
    assert batches[1].to_prefill == (*batches[1].prompt, 7, 7)


def test_batch_work_keeps_its_place_where_giving_it_up_would_not_help():
    scheduler = Scheduler(Limits(3, 6, 8, 2), lambda model: 85, clock=Clock())
    make(scheduler, client="one", prompt=20, max_tokens=20)
    batch = make(scheduler, client="batch", prompt=4, max_tokens=4, batch=True, first=1)
    for _ in range(5):
        turn(scheduler)
    make(scheduler, client="big", prompt=30, max_tokens=20, first=2)
    assert scheduler.schedule().preempted == ()
    assert batch.phase is Phase.DECODE


def test_batch_work_that_waited_for_long_counts_as_interactive():
    clock = Clock()
    scheduler = Scheduler(Limits(1, 6, 8, 2), lambda model: BUDGET, clock=clock)
    running = make(scheduler)
    turn(scheduler)
    batch = make(scheduler, client="batch", batch=True)
    clock.now = PATIENCE
    interactive = make(scheduler, client="person", at=clock.now)
    scheduler.finish(running)
    turn(scheduler)
    turn(scheduler)
    assert (batch.phase, interactive.phase) == (Phase.DECODE, Phase.WAITING)


def test_batch_work_that_is_answered_for_long_still_gives_way():
    clock = Clock()
    scheduler = Scheduler(Limits(1, 6, 8, 2), lambda model: BUDGET, clock=clock)
    batch = make(scheduler, client="batch", batch=True)
    turn(scheduler)
    clock.now = 2 * PATIENCE
    interactive = make(scheduler, client="person", at=clock.now)
    turn(scheduler)
    assert (batch.phase, interactive.phase) == (Phase.WAITING, Phase.DECODE)


def test_batch_work_that_gave_way_again_and_again_keeps_its_place_in_the_end():
    clock = Clock()
    scheduler = Scheduler(Limits(1, 6, 8, 2), lambda model: BUDGET, clock=clock)
    batch = make(scheduler, client="batch", batch=True)
    for _ in range(3):
        turn(scheduler)
        assert batch.phase is Phase.DECODE
        person = make(scheduler, client="person", at=clock.now)
        turn(scheduler)
        assert batch.phase is Phase.WAITING
        clock.now += PATIENCE / 3
        scheduler.finish(person)
    turn(scheduler)
    make(scheduler, client="person", at=clock.now)
    turn(scheduler)
    assert batch.phase is Phase.DECODE


def test_the_youngest_answer_loses_its_place_where_answers_outgrow_the_budget(monkeypatch):
    monkeypatch.setattr(sequence_module, "_USUAL_ANSWER", 2)
    monkeypatch.setattr(sequence_module, "_AHEAD", 1)
    scheduler = Scheduler(LIMITS, lambda model: 20)
    old, young = (make(scheduler, client=c, max_tokens=50, first=ord(c)) for c in "ab")
    for _ in range(4):
        turn(scheduler)
    old.generated.extend(range(9))
    young.generated.extend([1, 2])
    plan, _ = turn(scheduler)
    assert plan.preempted == (young,)
    assert plan.decoding == (old,)
    scheduler.finish(old)
    plan, chunk = turn(scheduler)
    assert (chunk.sequence, chunk.start, chunk.stop) == (young, 0, 6)
    assert chunk.is_last


class SchedulerMachine(RuleBasedStateMachine):
    """Random submissions, cancellations and steps; finished means five tokens decoded."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        # Answers shall outgrow what was reserved for them.
        self.patch.setattr(sequence_module, "_USUAL_ANSWER", 2)
        self.patch.setattr(sequence_module, "_AHEAD", 1)
        self.clock = Clock()
        self.scheduler = Scheduler(LIMITS, lambda model: BUDGET, clock=self.clock)
        self.live = []

    @rule(
        model=st.sampled_from("ab"),
        client=st.sampled_from("xyz"),
        prompt=st.integers(1, 30),
        max_tokens=st.integers(1, 30),
        batch=st.booleans(),
    )
    def submit(self, model, client, prompt, max_tokens, batch):
        sequence = make(
            model=model,
            client=client,
            prompt=prompt,
            max_tokens=max_tokens,
            batch=batch,
            at=self.clock.now,
        )
        try:
            self.scheduler.submit(sequence)
        except QueueFull:
            assert self.scheduler.queued >= LIMITS.max_queue
        else:
            self.live.append(sequence)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def cancel(self, data):
        sequence = data.draw(st.sampled_from(self.live))
        self.live.remove(sequence)
        self.scheduler.finish(sequence)

    @rule(seconds=st.sampled_from([1.0, PATIENCE]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule()
    def step(self):
        plan, chunk = turn(self.scheduler)
        if plan is None:
            assert not self.live
            return
        assert chunk is not None or plan.decoding
        assert not set(plan.preempted) & {*plan.prefilling, *plan.decoding}
        for sequence in plan.decoding:
            sequence.generated.append(0)
            if len(sequence.generated) == sequence.max_tokens:
                self.live.remove(sequence)
                self.scheduler.finish(sequence)

    @invariant()
    def nothing_is_lost_or_doubled(self):
        held = list(self.scheduler)
        assert len(held) == len({s.id for s in held})
        assert {s.id for s in held} == {s.id for s in self.live}

    @invariant()
    def limits_hold(self):
        running = [s for s in self.live if s.phase is not Phase.WAITING]
        for model in "ab":
            rows = [s for s in running if s.model == model]
            assert len(rows) <= LIMITS.max_batch
            assert sum(r.phase is Phase.PREFILL for r in rows) <= LIMITS.max_prefills
            held = sum(len(r.prompt) + len(r.generated) for r in rows)
            assert held <= BUDGET or len(rows) == 1

    def teardown(self):
        """Left alone, everything that was accepted is served."""
        self.patch.undo()
        for _ in range(2000):
            if not self.live:
                return
            self.step()
        raise AssertionError(f"starved: {self.live}")


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(deadline=None, max_examples=100)
