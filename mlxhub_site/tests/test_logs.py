"""Logs of processes: whole lines, limited size."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.observability.lines import parse
from mlxhub_site.supervisor.logs import BACKUPS, LONGEST_LINE, ProcessLog


def test_lines_split_over_chunks_are_joined(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "web.log")
    for chunk in (b"on", b"e\ntw", "ö\r\n".encode()[:1], "ö\r\n".encode()[1:], b"three"):
        log.feed(chunk)
    log.end()
    lines = (tmp_path / "web.log").read_text().splitlines()
    assert [parse(line).message for line in lines] == ["one", "twö", "three"]


def test_a_json_line_is_kept_as_it_is_and_read_out_plainly(tmp_path: Path) -> None:
    line = '{"time":"2026-01-01T10:00:00Z","level":"error","message":"It broke"}'
    log = ProcessLog(tmp_path / "web.log")
    log.feed(f"{line}\n".encode())
    log.end()
    assert (tmp_path / "web.log").read_text() == f"{line}\n"
    assert log.take_tail() == ["10:00:00 ERROR It broke"]


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
    log.end()
    (line,) = (tmp_path / "web.log").read_text().splitlines()
    assert len(parse(line).message) == LONGEST_LINE + 1


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
