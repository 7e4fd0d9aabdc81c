"""What the tests of POST /v1/chat/completions ask."""

from __future__ import annotations

from typing import Any

from apps.inference.tests.conftest import Answer, Caller

URL = "/v1/chat/completions"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def ask(call: Caller, **fields: Any) -> Answer:
    body = {"model": "tiny", "messages": QUESTION} | fields
    return call("POST", URL, {name: value for name, value in body.items() if value is not ...})
