"""Hugging Face answers. Asked once in a while, and never waited for long."""

from __future__ import annotations

from django.conf import settings
from django.core.cache import caches

from apps.discovery.configured import configured_access
from apps.discovery.errors import DiscoveryError
from apps.discovery.hub import reach
from apps.system.health.findings import Finding

KEY = "health-hub"
KEPT = 60.0
"""Seconds that an answer counts."""


def check() -> Finding:
    """Whether searching and downloading can work; chats need no hub."""
    if settings.HUB.hf_offline:
        return Finding("ok", "Offline mode is on: it is not asked.")
    known = caches["hub"].get(KEY)
    problem: str = _asked() if known is None else known
    if known is None:
        caches["hub"].set(KEY, problem, KEPT)
    if problem:
        return Finding(
            "degraded",
            problem,
            "Chats go on. Check `MLXHUB_HF_ENDPOINT` and `HTTPS_PROXY` too; or set "
            "`MLXHUB_HF_OFFLINE=1` where there is to be none.",
        )
    return Finding("ok", settings.HUB.hf_endpoint)


def _asked() -> str:
    try:
        reach(configured_access())
    except DiscoveryError as error:
        return str(error)
    return ""
