"""Logs of processes: whole lines, limited size."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlxhub_site.supervisor.logs import BACKUPS, LONGEST_LINE, ProcessLog


def test_lines_split_over_chunks_are_joined(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "web.log")
    for chunk in (b"on", b"e\ntw", "ö\r\n".encode()[:1], "ö\r\n".encode()[1:], b"three"):
        log.feed(chunk)
    log.end()
    assert (tmp_path / "web.log").read_text() == "one\ntwö\nthree\n"


def test_a_log_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "web.log", max_bytes=1000)
    for number in range(1000):
        log.feed(b"line %d\n" % number)
    log.end()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + BACKUPS
    assert all(file.stat().st_size <= 1000 for file in files)


def test_output_without_a_line_end_does_not_pile_up_in_memory(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "web.log")
    log.feed(b"x" * (LONGEST_LINE + 1))
    assert (tmp_path / "web.log").stat().st_size == LONGEST_LINE + 2
    log.end()


def test_the_tail_is_told_once(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "web.log")
    log.feed(b"".join(b"line %d\n" % number for number in range(20)))
    assert log.take_tail()[-1] == "line 19"
    assert log.take_tail() == []
    log.end()


def test_a_full_disk_costs_the_file_and_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "web.log").symlink_to("/dev/full")
    log = ProcessLog(tmp_path / "web.log")
    log.feed(b"one\ntwo\n")
    assert log.take_tail() == ["one", "two"]
    log.end()
    assert capfd.readouterr().err == ""
