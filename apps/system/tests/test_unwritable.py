"""What a reader is told when the disk takes no more."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from apps.system.unwritable import UnwritableMiddleware


def answer_to(error: Exception, rf: RequestFactory) -> HttpResponse | None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    return UnwritableMiddleware(view).process_exception(
        rf.post("/playground/start/", {"content": "My <question>"}), error
    )


@pytest.mark.parametrize(
    "reason", ["database or disk is full", "attempt to write a readonly database"]
)
def test_a_write_that_the_disk_refused_is_told_as_such(rf: RequestFactory, reason: str) -> None:
    response = answer_to(OperationalError(reason), rf)
    assert response is not None
    assert response.status_code == 507
    assert b"Make room" in response.content
    assert b"My &lt;question&gt;" in response.content


@pytest.mark.parametrize("error", [OperationalError("no such table: x"), ValueError("full")])
def test_other_errors_go_their_way(rf: RequestFactory, error: Exception) -> None:
    assert answer_to(error, rf) is None
