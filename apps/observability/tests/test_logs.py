"""Lines as processes write them, and as they are read again."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.observability.ids import current_ids, marked, request_id_from
from apps.observability.lines import OUTPUT, parse, readable, wrapped
from apps.observability.logs import MOST_CHARACTERS, formatter, logging_config


def written(message: object, *args: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord(
        "apps.test", logging.WARNING, __file__, 1, message, args, more.pop("exc_info", None)
    )
    record.__dict__.update(more)
    return json.loads(formatter(process="web", form="json").format(record))


def test_a_line_tells_time_level_process_and_whose_work_it_is() -> None:
    with marked(request_id="r1", job="training.trainingjob:3"):
        line = written("%s is full", "The disk")
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "warning",
        "process": "web",
        "logger": "apps.test",
        "message": "The disk is full",
        "request_id": "r1",
        "job": "training.trainingjob:3",
    }
    assert current_ids() == {}


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        line = written("It broke", exc_info=sys.exc_info())
    assert line["exception"].endswith("ValueError: no such thing")


def test_a_secret_is_unreadable_in_a_message_and_in_a_traceback() -> None:
    secret = "hf_" + "a" * 34
    try:
        raise ValueError(f"refused {secret}")
    except ValueError:
        record = logging.LogRecord(
            "apps.test", logging.ERROR, __file__, 1, "with %s", (secret,), sys.exc_info()
        )
    config = logging_config(process="web", level="info", form="json")
    assert config["filters"]["redact"]["()"]().filter(record)
    line = formatter(process="web", form="json").format(record)
    assert secret not in line
    assert "ValueError: refused" in json.loads(line)["exception"]


def test_only_known_extras_are_written() -> None:
    line = written("x", run="7", password="secret")
    assert line["run"] == "7"
    assert "password" not in line


def test_a_long_message_is_shortened_so_that_its_line_stays_whole() -> None:
    assert len(written("x" * 10**6)["message"]) < MOST_CHARACTERS + 10


def test_half_a_surrogate_pair_costs_no_line() -> None:
    assert written("bad \ud800 text")["message"] == "bad ? text"


def test_a_terminal_gets_plain_lines() -> None:
    record = logging.LogRecord("apps.test", logging.INFO, __file__, 1, "Ready", (), None)
    assert formatter(process="web", form="text").format(record).endswith("INFO apps.test Ready")


@given(st.text())
def test_any_text_can_be_read_as_a_line(raw: str) -> None:
    assert isinstance(parse(raw).text, str)
    assert isinstance(readable(raw), str)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_a_process_prints_becomes_a_json_line(raw: str) -> None:
    line = wrapped(raw, process="engine", now=datetime(2026, 1, 1, tzinfo=UTC))
    assert isinstance(json.loads(line), dict)


def test_what_a_library_printed_keeps_its_words() -> None:
    line = parse(wrapped("[METAL] abort", process="engine", now=datetime(2026, 1, 1, tzinfo=UTC)))
    assert (line.level, line.process, line.message) == (OUTPUT, "engine", "[METAL] abort")
    assert line.text == "00:00:00 [METAL] abort"


def test_json_of_somebody_else_is_no_line_of_ours() -> None:
    assert readable('{"a": 1}') == '{"a": 1}'


@pytest.mark.parametrize("given", ["abc-1", "req.1:2", "a" * 64])
def test_a_callers_id_is_kept(given: str) -> None:
    assert request_id_from(given) == given


@pytest.mark.parametrize("given", [None, "", "a" * 65, "a b", "a\nb", "<b>", "-a"])
def test_an_id_that_is_not_safe_to_repeat_is_replaced(given: str | None) -> None:
    made = request_id_from(given)
    assert made != given
    assert len(made) == 32
