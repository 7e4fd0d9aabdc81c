"""The hub's REST API, for suites that order work and wait for it."""

from __future__ import annotations

import time
from typing import Any

import httpx

from tests.hub_process import HubProcess

_OVER = frozenset({"done", "failed", "cancelled", "interrupted", "paused"})
_LOOK_SECONDS = 0.02


class HubApi:
    def __init__(self, hub: HubProcess) -> None:
        self._http = httpx.Client(base_url=hub.url, timeout=60, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        """The answer's JSON; any refusal is an error."""
        return self._http.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's JSON; any refusal is an error."""
        response = self._http.post(path, json=body or {})
        assert response.is_success, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def over(self, path: str, *, seconds: float) -> Any:
        """The job at ``path``, once it is over."""
        deadline = time.monotonic() + seconds
        while (job := self.get(path))["state"] not in _OVER:
            assert time.monotonic() < deadline, f"{path} is not over: {job}"
            time.sleep(_LOOK_SECONDS)
        return job

    def done(self, path: str, *, seconds: float) -> Any:
        """The job at ``path``, once it is done; any other end is an error."""
        job = self.over(path, seconds=seconds)
        assert job["state"] == "done", f"{path}: {job['state']} {job['error']}"
        return job
