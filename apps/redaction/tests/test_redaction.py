"""Secrets in text, and in records of a log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.redaction import text as redaction
from apps.redaction.filter import RedactingFilter
from apps.redaction.text import HIDDEN, hide, redacted


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key mlxhub_abcd1234_{'x' * 43}.", f"key mlxhub_abcd1234_{HIDDEN}."),
        ("token hf_abcdefghijklmnopqrst", f"token hf_{HIDDEN}"),
        ("sk-ant-api03-abcdefghijklmnop", f"sk-ant-{HIDDEN}"),
        ("sk-proj-abcdefghijklmnopqrst", f"sk-{HIDDEN}"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: {HIDDEN}"),
        (
            "{'authorization': 'Bearer abcdefgh', 'a': 1}",
            f"{{'authorization': '{HIDDEN}', 'a': 1}}",
        ),
        ("got bearer abcdefgh12", f"got bearer {HIDDEN}"),
        ("Cookie: mlxhub_session=abcdef; theme=dark", f"Cookie: {HIDDEN}"),
        ("X-Api-Key: abcdef", f"X-Api-Key: {HIDDEN}"),
        (
            "at http://ada:secret@host/x",  # pragma: allowlist secret
            f"at http://ada:{HIDDEN}@host/x",
        ),  # pragma: allowlist secret
        ("postgres://hub:p@ss@db/hub", f"postgres://hub:{HIDDEN}@ss@db/hub"),
        (
            "https://s3/x?X-Amz-Signature=abc&part=1",
            f"https://s3/x?X-Amz-Signature={HIDDEN}&part=1",
        ),
        ("GET /join/MQ/abc123-0123456789abcdef/", f"GET /join/MQ/{HIDDEN}/"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "The model hf-internal-testing/tiny is loaded.",
        "http://127.0.0.1:8080/models/?sort=name",
        "12 tokens, key 3 of 4, bearer of news",
        "GET /v1/models 200 in 3 ms",
        "Listening on [::1]:8080",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


def test_what_was_configured_is_hidden_wherever_it_stands() -> None:
    hide("correct horse")
    hide("short")
    assert redacted("a=correct horse; short") == f"a={HIDDEN}; short"


@given(st.text(max_size=200))
def test_hiding_twice_hides_no_more(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


class TestALog:
    @pytest.fixture
    def written(self) -> Iterator[tuple[logging.Logger, io.StringIO]]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.addFilter(RedactingFilter())
        logger = logging.getLogger("apps.redaction.tests")
        logger.propagate = False
        logger.addHandler(handler)
        yield logger, stream
        logger.removeHandler(handler)
        logger.propagate = True

    def test_shows_no_secret_of_a_message_or_its_arguments(
        self, written: tuple[logging.Logger, io.StringIO]
    ) -> None:
        logger, stream = written
        logger.warning("%s sent %r", "ada", {"x-api-key": "abcdefgh"})
        assert stream.getvalue() == f"ada sent {{'x-api-key': '{HIDDEN}'}}\n"

    @pytest.mark.parametrize("arguments", [("x-api-key: abcdefgh",), ({"a": 1}, 2), ()])
    def test_goes_on_where_a_librarys_call_is_wrong(
        self, written: tuple[logging.Logger, io.StringIO], arguments: tuple[object, ...]
    ) -> None:
        logger, stream = written
        logger.handle(
            logging.LogRecord(
                "x", logging.WARNING, __file__, 1, "%d of %d", arguments or (1,), None
            )
        )
        assert "%d of %d" in stream.getvalue()
        assert "abcdefgh" not in stream.getvalue()

    def test_shows_no_secret_of_a_traceback(
        self, written: tuple[logging.Logger, io.StringIO]
    ) -> None:
        logger, stream = written
        try:
            raise ValueError("http://ada:planted@host/")  # pragma: allowlist secret
        except ValueError:
            logger.exception("It failed.")
        assert "planted" not in stream.getvalue()
        assert f"ValueError: http://ada:{HIDDEN}@host/" in stream.getvalue()
