"""However a run is interrupted, it ends with the weights and figures of one that was not."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.training.trainer import checkpoints
from apps.training.trainer import events as events_module
from apps.training.trainer.control import Wish
from apps.training.trainer.events import Ended, Evaluated, EventLog, Trained
from apps.training.trainer.tests.runs import AsksAfter, events, make_run, pairs, train

PAIRS = {"train": pairs(10), "valid": pairs(5, first=50)}

KINDS = {
    "lora": {},
    "dora": {"method": "dora", "optimizer": "adamw"},
    "accumulating": {"accumulation": 3, "schedule": {"kind": "cosine", "warmup": 2}},
    "full": {"method": "full", "optimizer": "muon", "keep_best": True},
    "dpo": PAIRS | {"objective": "dpo", "gradient_checkpointing": True},
    "dpo in full": PAIRS | {"objective": "dpo", "method": "full", "optimizer": "sgd"},
    "orpo": PAIRS | {"objective": "orpo", "method": "dora", "accumulation": 2},
}


class Killed(BaseException):
    """What a kill leaves is what was written before it."""


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module")
def whole(kind, model, tmp_path_factory):
    """A run that nobody interrupted."""
    run = make_run(tmp_path_factory.mktemp("whole") / "run", model, **kind)
    assert train(run)[-1] == Ended(step=12, reason="finished")
    return run


def result(run: Path) -> bytes:
    (weights,) = [*run.glob("adapter/*.safetensors"), *run.glob("model/*.safetensors")]
    return weights.read_bytes()


def figures(run: Path) -> dict:
    """What is kept of the events: the newest of each kind and step, without times."""
    return {
        (event.kind, event.step): event.model_copy(
            update={"tokens_per_second": 0.0, "peak_memory": 0, "seconds": 0.0}
        )
        for event in events(run)
        if isinstance(event, Trained | Evaluated)
    }


several = settings(
    deadline=None, max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@several
@given(looks=st.lists(st.integers(0, 20), min_size=1, max_size=3))
def test_a_run_that_is_stopped_and_resumed_ends_the_same(whole, kind, model, looks):
    with TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", model, **kind)
        for each in looks:
            assert train(run, AsksAfter(each))[-1].kind == "ended"
        train(run)
        assert result(run) == result(whole)
        assert figures(run) == figures(whole)


@several
@given(writes=st.lists(st.integers(0, 30), min_size=1, max_size=3))
def test_a_run_that_is_killed_and_resumed_ends_the_same(whole, kind, model, writes):
    """Killed at any of its writes: of an event, in the middle of its line, or of a checkpoint."""
    with TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", model, **kind)
        for each in writes:
            with pytest.MonkeyPatch.context() as patch, suppress(Killed):
                kill_at_write(patch, each)
                train(run)
        train(run)
        assert result(run) == result(whole)
        assert figures(run) == figures(whole)
        assert not list(run.glob("checkpoints/.*"))


def kill_at_write(patch: pytest.MonkeyPatch, number: int) -> None:
    left = [number]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    def tell(self, event):
        line = event.model_dump_json().encode() + b"\n"
        with self._path.open("ab") as file:
            file.write(line[: len(line) // 2])
            file.flush()
            count()
            file.write(line[len(line) // 2 :])

    def sync(path):
        count()

    patch.setattr(EventLog, "tell", tell)
    patch.setattr(checkpoints, "sync", sync)


def test_a_damaged_checkpoint_is_passed_over(whole, kind, model, tmp_path):
    run = make_run(tmp_path / "run", model, **kind)
    train(run, AsksAfter(11))
    newest = sorted((run / "checkpoints").iterdir())[-1]
    (newest / "progress.json").write_text("{")
    train(run)
    assert result(run) == result(whole)


def test_a_cancelled_run_saves_nothing_more(model, tmp_path):
    run = make_run(tmp_path / "run", model)
    assert train(run, AsksAfter(3, Wish.CANCEL))[-1].reason == "cancelled"
    assert not (run / "adapter").exists()


def test_an_abandoned_run_saves_what_it_has(model, tmp_path):
    run = make_run(tmp_path / "run", model, steps_per_save=100)
    assert train(run, AsksAfter(5, Wish.ABANDONED))[-1].reason == "abandoned"
    assert list((run / "checkpoints").iterdir())


def test_half_a_line_is_not_read_and_does_not_stay(model, tmp_path):
    run = make_run(tmp_path / "run", model)
    (run / events_module.FILE).write_bytes(b'{"kind":"saved","step":1}\n{"kind":"sav')
    read, offset = events_module.read_events(run, 0)
    assert [event.kind for event in read] == ["saved"]
    EventLog(run)
    assert (run / events_module.FILE).stat().st_size == offset


def test_a_run_that_has_ended_leaves_no_room_reserved(tmp_path):
    log = EventLog(tmp_path)
    assert (tmp_path / events_module.SPARE_FILE).exists()
    log.tell_last(Ended(step=1, reason="finished"))
    assert [path.name for path in tmp_path.iterdir()] == [events_module.FILE]
