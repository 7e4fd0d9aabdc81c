"""The hub that the settings name."""

from __future__ import annotations

from django.conf import settings

from apps.discovery.hub.access import Access


def configured_access() -> Access:
    """Endpoint, token and offline mode as configured."""
    token = settings.HUB.hf_token
    return Access(
        endpoint=settings.HUB.hf_endpoint.rstrip("/"),
        token=token.get_secret_value() if token else None,
        offline=settings.HUB.hf_offline,
    )
