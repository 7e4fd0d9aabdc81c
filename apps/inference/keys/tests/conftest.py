"""Keys, and callers that use them."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import create_key
from apps.inference.tests.conftest import Answer, Caller, call, qwen
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine

__all__ = ["call", "qwen"]

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


class KeyHolder:
    """Calls the hub with a key of its own."""

    def __init__(self, call: Caller, **fields: Any) -> None:
        self.key, self.text = create_key(**{"name": "ada"} | fields)
        self._call = call

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self._call(method, path, body, Authorization=f"Bearer {self.text}", **headers)

    def chat(self, **changes: Any) -> Answer:
        return self("POST", "/v1/chat/completions", CHAT | changes)

    @property
    def row(self) -> ApiKey:
        return ApiKey.objects.get(pk=self.key.pk)


@pytest.fixture
def _cast(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    pass


@pytest.fixture
def holder(call: Caller, _cast: None) -> KeyHolder:
    """Somebody with a key without limits."""
    return KeyHolder(call)
