"""What is remembered of loads, and what happens where it can't be."""

from __future__ import annotations

import pytest

from apps.inference.engine import measurements
from apps.inference.engine.measurements import Measurements


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cache" / "measured-loads.json"


def test_a_measurement_outlives_the_process(file):
    Measurements(file, "cpu").record("sha256:1", 1000)
    assert Measurements(file, "cpu").get("sha256:1") == 1000


def test_the_newest_measurement_counts(file):
    kept = Measurements(file, "cpu")
    kept.record("sha256:1", 1000)
    kept.record("sha256:1", 900)
    assert Measurements(file, "cpu").get("sha256:1") == 900


def test_another_back_end_has_measurements_of_its_own(file):
    Measurements(file, "cpu").record("sha256:1", 1000)
    assert Measurements(file, "metal").get("sha256:1") is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"version": 2}', b'{"bytes": {"a|cpu": -1}}'],
)
def test_a_damaged_file_is_started_over(file, content, caplog):
    file.parent.mkdir()
    file.write_bytes(content)
    kept = Measurements(file, "cpu")
    assert kept.get("a") is None
    assert "starting over" in caplog.text
    kept.record("a", 5)
    assert Measurements(file, "cpu").get("a") == 5


def test_a_file_that_can_not_be_written_costs_only_the_memory(tmp_path, caplog):
    (tmp_path / "taken").write_text("")
    kept = Measurements(tmp_path / "taken" / "loads.json", "cpu")
    kept.record("a", 5)
    assert kept.get("a") == 5
    assert "can't be written" in caplog.text


def test_the_measurements_of_longest_ago_are_forgotten(file, monkeypatch):
    monkeypatch.setattr(measurements, "MAX_LOADS", 2)
    kept = Measurements(file, "cpu")
    for digest in "abca":
        kept.record(digest, ord(digest))
    kept.record("d", 1)
    assert [Measurements(file, "cpu").get(d) for d in "abcd"] == [97, None, None, 1]


def test_without_a_file_nothing_is_kept():
    kept = Measurements(None, "cpu")
    kept.record("a", 5)
    assert kept.get("a") == 5
