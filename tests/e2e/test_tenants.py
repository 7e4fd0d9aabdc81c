"""With tenant isolation, nothing that one key did shows to another: a real hub and its cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hub_process import STARTER, HubProcess, running_hub

PROMPTS = [
    f"{first} came by. " + "The quick brown fox jumps over the lazy dog and runs on. " * 8
    for first in ("Ants", "Bees", "Cows")
]


class Tenants:
    """Callers of one hub, each with a key."""

    def __init__(self, hub: HubProcess, *names: str) -> None:
        self._hub = hub
        self._keys = {name: self._made(name) for name in names}

    def _made(self, name: str) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("mlx-hub"), "keys", "create", name],
            env=self._hub.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def __call__(self, name: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            method,
            f"{self._hub.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._keys[name]}"},
            timeout=300,
        )

    def cached(self, name: str, prompt: str) -> int:
        """How many tokens of the prompt were cached when this key asked it."""
        body = {
            "model": STARTER,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": 2,
        }
        answer = self(name, "POST", "/v1/chat/completions", body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"])


@pytest.fixture(scope="module")
def tenants() -> Iterator[Tenants]:
    settings = {"MLXHUB_TENANT_ISOLATION": "1", "MLXHUB_REQUIRE_KEYS": "1"}
    with running_hub(settings) as hub:
        yield Tenants(hub, "ada", "grace")


def test_no_key_meets_what_another_cached_under_load(tenants: Tenants) -> None:
    assert tenants.cached("ada", PROMPTS[0]) == 0
    for prompt in PROMPTS:
        tenants.cached("ada", prompt)

    # Her first call finds nothing, though the hub has computed the very same prompt.
    assert tenants.cached("grace", PROMPTS[0]) == 0
    # From then on she has a beginning of her own, which the template writes.
    own = tenants.cached("grace", "Something else.")

    asked = [(name, prompt) for prompt in PROMPTS[1:] for name in ("ada", "grace")]
    with ThreadPoolExecutor(len(asked)) as threads:
        found = list(threads.map(lambda each: tenants.cached(*each), asked))
    by_name = {
        name: [tokens for (who, _), tokens in zip(asked, found, strict=True) if who == name]
        for name in ("ada", "grace")
    }
    assert min(by_name["ada"]) > 90
    assert max(by_name["grace"]) <= own < 60
    assert min(tenants.cached("grace", prompt) for prompt in PROMPTS[1:]) > 90


def test_no_key_sees_a_response_that_another_stored(tenants: Tenants) -> None:
    body = {"model": STARTER, "input": "Say hello.", "max_output_tokens": 4}
    mine = tenants("ada", "POST", "/v1/responses", body).json()["id"]

    assert tenants("ada", "GET", f"/v1/responses/{mine}").status_code == 200
    for method in ("GET", "DELETE"):
        assert tenants("grace", method, f"/v1/responses/{mine}").status_code == 404
    going_on = body | {"previous_response_id": mine}
    assert tenants("grace", "POST", "/v1/responses", going_on).status_code in (400, 404)
    assert tenants("ada", "POST", "/v1/responses", going_on).status_code == 200
