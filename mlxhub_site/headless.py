"""The ASGI application of `mlx-hub serve --headless`: the APIs, and nothing to look at."""

from __future__ import annotations

import json
from typing import Any

from mlxhub_site.asgi import application as whole

API = ("/v1", "/api", "/admin/health", "/admin/cache", "/admin/api", "/healthz", "/metrics")
"""Where programs call; the documentation pages of the APIs are among it."""

ASSETS = "/static/ninja/"

_NOTHING = {
    "error": {
        "message": "This hub serves its API alone. /v1/docs and /api/docs list what there is.",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }
}


class Headless:
    """Lets calls of the APIs through and answers the rest with 404."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or _is_api(scope["path"]):
            await self._application(scope, receive, send)
            return
        body = json.dumps(_NOTHING).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_api(path: str) -> bool:
    return path.startswith(ASSETS) or any(
        path == prefix or path.startswith(f"{prefix}/") for prefix in API
    )


application = Headless(whole)
