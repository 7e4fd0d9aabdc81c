"""Records of requests."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from apps.inference.keys.tests.conftest import KeyHolder, _cast, holder
from apps.inference.tests.conftest import call, hub, pirate, qwen, served
from apps.inference.usage.models import RequestRecord

__all__ = ["KeyHolder", "_cast", "call", "holder", "hub", "pirate", "qwen", "served"]


def make_record(**fields: Any) -> RequestRecord:
    """A request that was answered; ``fields`` replace what it has by default."""
    values: dict[str, Any] = {
        "created_at": timezone.now(),
        "model": "tiny",
        "endpoint": "POST /v1/chat/completions",
        "status": 200,
        "finish_reason": "stop",
        "prompt_tokens": 100,
        "cached_tokens": 40,
        "completion_tokens": 20,
        "time_to_first_token": 0.5,
        "tokens_per_second": 25.0,
        "duration": 1.5,
    }
    return RequestRecord.objects.create(**(values | fields))


@pytest.fixture
def record(db: None) -> RequestRecord:
    return make_record()
