"""A month of figures: written, put together, read and drawn."""

from __future__ import annotations

import plistlib
import time
from collections import namedtuple
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.protocol import ModelSpec
from apps.inference.usage.models import RequestRecord
from apps.playground.models import Conversation, Message
from apps.system.history import memory, seeing
from apps.system.history.accelerator import Use, accelerator_use, parsed_ioreg
from apps.system.history.figures import charts, plotted
from apps.system.history.grains import EVERY, RANGES, range_of
from apps.system.history.models import Sample
from apps.system.history.outlook import HORIZON, TIGHT, outlook
from apps.system.history.reading import courses
from apps.system.history.recording import record
from apps.system.history.seeing import Watcher
from tests.fake_engine import FakeEngine

NOON = 1_800_000_000 // 86400 * 86400 + 43200
HOUR, SIX_HOURS, DAY, WEEK, MONTH = RANGES


class TestGrains:
    def test_each_range_has_few_points(self) -> None:
        assert all(each.points <= 372 for each in RANGES)

    def test_each_grain_is_made_of_the_one_below(self) -> None:
        for finer, coarser in pairwise(RANGES):
            assert coarser.grain % finer.grain == 0
            # What a longer span is counted from is still there while it lasts.
            assert finer.seconds >= coarser.grain

    def test_an_unknown_range_is_the_shortest(self) -> None:
        assert range_of("<script>") is HOUR


@pytest.mark.django_db
class TestRecording:
    def test_a_spike_of_ten_seconds_is_seen_in_the_month(self) -> None:
        for turn in range(720):  # two hours
            value = 99.0 if turn == 300 else 1.0
            record({"machine.cpu": [value]}, at=NOON + turn * EVERY)
        for each in RANGES:
            course = courses(each, now=NOON + 7200)["machine.cpu"]
            expected = 1.0 if each is HOUR else 99.0  # the last hour lacks it
            assert course.highest == expected, each
            assert course.lowest == 1.0
        assert sum(Sample.objects.filter(grain=MONTH.grain).values_list("count", flat=True)) == 720

    def test_a_second_look_in_the_same_span_takes_the_place_of_the_first(self) -> None:
        record({"a": [1.0]}, at=NOON)
        record({"a": [3.0]}, at=NOON + 1)
        course = courses(HOUR, now=NOON + 5)["a"]
        assert (course.at, course.mean) == ([NOON], [3.0])
        assert courses(MONTH, now=NOON + 5)["a"].mean == [3.0]

    def test_several_figures_of_one_look_are_kept_as_their_spread(self) -> None:
        record({"answers.ttft": [0.1, 0.5, 0.3], "answers.rate": []}, at=NOON)
        (course,) = courses(HOUR, now=NOON).values()
        assert (course.lowest, course.highest) == (0.1, 0.5)
        assert course.latest == pytest.approx(0.3)

    def test_what_is_too_old_goes_from_each_grain_in_its_time(self) -> None:
        record({"a": [1.0]}, at=NOON)
        record({"a": [2.0]}, at=NOON + 2 * 3600)
        assert list(Sample.objects.filter(grain=EVERY).values_list("total", flat=True)) == [2.0]
        assert Sample.objects.filter(grain=SIX_HOURS.grain).count() == 2
        record({"a": [3.0]}, at=NOON + 40 * 86400)
        assert Sample.objects.count() == len(RANGES)

    def test_a_turn_takes_the_same_number_of_statements_whatever_it_saw(self) -> None:
        def statements(series: int) -> int:
            with CaptureQueriesContext(
                connection,
            ) as told:
                record({f"s{n}": [1.0] for n in range(series)}, at=NOON)
            return len(told)

        assert statements(3) == statements(60)


class TestReading:
    @pytest.mark.django_db
    def test_a_full_month_of_every_series_is_read_and_drawn_in_time(self) -> None:
        names = [
            "machine.memory", "machine.swap", "machine.cpu", "disk.free", "memory.live_kv",
            "memory.prompt_cache", "memory.other", "engine.memory", "engine.active",
            "engine.queued", "engine.tokens", "requests.count", "requests.failed",
            "answers.ttft", "answers.rate", "process.memory:web", "process.memory:worker",
            "process.memory:engine", "memory.weights:a", "memory.weights:b",
        ]  # fmt: skip
        Sample.objects.bulk_create(
            Sample(series=name, grain=each.grain, at=at, low=1, high=3, total=4, count=2)
            for each in RANGES
            for at in range(NOON - each.seconds + each.grain, NOON + 1, each.grain)
            for name in names
        )
        for each in RANGES:
            best = min(_seconds(each) for _ in range(3))
            # It takes 0.05 s.
            assert best < 0.25, f"{each.key}: {best:.3f} s"

    def test_a_gap_is_no_line(self) -> None:
        from apps.system.history.reading import Course

        course = Course([NOON - 20, NOON], [1.0, 2.0], [1.0, 2.0], [1.0, 4.0])
        told = plotted(HOUR, charts({"machine.cpu": course}), now=NOON)
        (line,) = told["charts"]["use"]["lines"]
        assert line["mean"][-3:] == [1.0, None, 2.0]
        assert line["high"][-1] == 4.0
        assert len(told["at"]) == len(line["mean"]) == HOUR.points

    def test_what_has_one_series_for_each_is_named_after_it(self) -> None:
        from apps.system.history.reading import Course

        course = Course([NOON], [1.0], [1.0], [1.0])
        (chart,) = charts({"memory.weights:tiny": course, "memory.held:The training of x": course})
        assert [line.label for line in chart.lines] == ["Weights of tiny", "The training of x"]


def _seconds(each: Any) -> float:
    """Of computing: how long it takes beside other tests says nothing."""
    began = time.thread_time()
    plotted(each, charts(courses(each, now=NOON)), now=NOON)
    return time.thread_time() - began


@pytest.mark.django_db
class TestSeeing:
    def test_memory_is_seen_by_owner(self, fake_engine: FakeEngine) -> None:
        fake_engine._load(ModelSpec(name="tiny", path="/tiny", digest="d"))
        seen = Watcher().look(at=NOON)
        assert seen["memory.weights:tiny"] == [1_000_000]
        assert {"memory.live_kv", "memory.prompt_cache", "memory.other", "machine.memory"} <= set(
            seen
        )

    def test_tokens_per_second_are_between_two_looks_at_one_engine(
        self, fake_engine: FakeEngine
    ) -> None:
        watcher = Watcher()
        fake_engine.status.update(generated_tokens=100)
        assert "engine.tokens" not in watcher.look(at=NOON)
        fake_engine.status.update(generated_tokens=350)
        assert watcher.look(at=NOON + 10)["engine.tokens"] == [25.0]
        fake_engine.status.update(generated_tokens=5, pid=1)
        assert "engine.tokens" not in watcher.look(at=NOON + 20)

    def test_requests_are_counted_once(self, fake_engine: FakeEngine) -> None:
        watcher = Watcher()
        for status in (200, 200, 503):
            RequestRecord.objects.create(
                created_at="2026-01-01T00:00Z", endpoint="POST /v1", status=status, duration=1,
                time_to_first_token=0.2 if status == 200 else None,
            )  # fmt: skip
        seen = watcher.look(at=NOON)
        assert (seen["requests.count"], seen["requests.failed"]) == ([3.0], [1.0])
        assert seen["answers.ttft"] == [0.2, 0.2]
        assert watcher.look(at=NOON)["requests.count"] == [0.0]

    def test_an_answer_of_the_playground_counts_when_it_has_ended(
        self, fake_engine: FakeEngine
    ) -> None:
        watcher = Watcher()
        chat = Conversation.objects.create(title="x")
        answer = Message.objects.create(conversation=chat, role="assistant", state="running")
        assert watcher.look(at=NOON)["answers.ttft"] == []
        Message.objects.filter(pk=answer.pk).update(state="complete", ttft=0.4)
        assert watcher.look(at=NOON)["answers.ttft"] == [0.4]
        assert watcher.look(at=NOON)["answers.ttft"] == []

    def test_goes_on_without_an_engine(self, fake_engine: FakeEngine) -> None:
        fake_engine.stop()
        seen = Watcher().look(at=NOON)
        assert "engine.active" not in seen
        assert seen["machine.memory"][0] > 0


class TestAccelerator:
    def test_a_mac_tells_what_its_graphics_driver_counts(self) -> None:
        told = [
            {
                "IOClass": "AGXAcceleratorG14X",
                "PerformanceStatistics": {
                    "Device Utilization %": 87,
                    "In use system memory": 4_000_000,
                },
            }
        ]
        assert parsed_ioreg(plistlib.dumps(told)) == Use(87.0, 4_000_000)

    @pytest.mark.parametrize("told", [b"", b"no plist", plistlib.dumps([]), plistlib.dumps([1])])
    def test_what_is_not_understood_is_not_known(self, told: bytes) -> None:
        assert parsed_ioreg(told) == Use()

    def test_a_cpu_is_asked_for_nothing(self) -> None:
        assert accelerator_use("cpu") == Use()


class TestOutlook:
    def test_warns_before_memory_is_tight(self) -> None:
        course = [(float(at), 60.0 + at / 30) for at in range(0, 600, 10)]  # 2 a minute, of 100
        seen = outlook(course, 100.0)
        assert seen.seconds is not None
        assert 0 < seen.seconds < HORIZON

    def test_warns_where_it_is_tight(self) -> None:
        assert outlook([(0.0, 95.0)], 100.0).seconds == 0.0

    @pytest.mark.parametrize(
        "course",
        [
            [],
            [(0.0, 60.0)],
            [(float(at), 60.0) for at in range(100)],
            [(float(at), 80.0 - at / 10) for at in range(100)],
            [(float(at), 10.0 + at / 10) for at in range(100)],
            [(float(at), 60.0 + 20 * (at % 2)) for at in range(99)],
        ],
        ids=["nothing", "one look", "steady", "falling", "mostly free", "up and down"],
    )
    def test_is_quiet_elsewhere(self, course: list[tuple[float, float]]) -> None:
        assert outlook(course, 100.0).seconds is None

    @given(st.lists(st.floats(0, 100, allow_nan=False), max_size=50), st.floats(0.001, 1000))
    def test_never_breaks(self, used: list[float], limit: float) -> None:
        seen = outlook([(float(at), value) for at, value in enumerate(used)], limit)
        assert seen.seconds is None or 0 <= seen.seconds <= HORIZON

    def test_is_shown_with_what_to_do(
        self, client: Client, fake_engine: FakeEngine, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        total = 16 * 1024**3
        machine = namedtuple("machine", "total available")
        monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: machine(total, 0))
        record({"machine.memory": [TIGHT * total + 1]}, at=time.time())
        page = client.get("/system/").content.decode()
        assert "are in use." in page
        assert "Unload models" in page


@pytest.mark.django_db
class TestPage:
    def test_draws_what_was_seen_and_tells_it_in_a_table(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        now = time.time()
        record({"machine.cpu": [40.0], "memory.live_kv": [1024.0]}, at=now)
        page = client.get("/system/?range=day").content.decode()
        assert 'data-chart="use"' in page
        assert "40 %" in page
        told = client.get("/system/history/?range=day").json()
        assert told["charts"]["owners"]["stacked"]
        assert told["charts"]["use"]["lines"][0]["mean"][-1] == 40.0

    def test_says_how_a_history_begins(self, client: Client, fake_engine: FakeEngine) -> None:
        assert "Nothing has been seen yet." in client.get("/system/").content.decode()


def test_a_machine_is_seen_without_its_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(seeing.shutil, "disk_usage", gone)
    assert "disk.free" not in seeing._machine()
