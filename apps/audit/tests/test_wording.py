"""Actions in words."""

from __future__ import annotations

import pytest

from apps.audit.wording import in_words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("model.delete", "Delete model"),
        ("dataset-version.add", "Add dataset version"),
        ("training-job.order", "Start training job"),
        ("model.load-cancel", "Cancel loading model"),
        ("session.begin", "Sign in"),
        ("system:cache_evict", "System: cache evict"),
        ("api/models/<str:slug>/convert", "Call the API"),
        ("admin:*", "Use Django's admin"),
        ("odd", "Odd"),
    ],
)
def test_an_action_is_said_in_words(code: str, words: str) -> None:
    assert in_words(code) == words
