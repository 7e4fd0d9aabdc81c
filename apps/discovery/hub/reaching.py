"""Whether the hub can be reached at all, learnt with the smallest question there is."""

from __future__ import annotations

import httpx2
from huggingface_hub import get_session

from apps.discovery import errors
from apps.discovery.hub.access import Access
from apps.discovery.hub.failures import explained

SECONDS = 3.0
"""A health check waits no longer."""


def reach(access: Access) -> None:
    """Raises DiscoveryError where the hub does not answer, or answers that it is broken.

    Without the token: the question says nothing of who asks.
    """
    with explained("The hub", access):
        response: httpx2.Response = get_session().request(
            "HEAD", access.endpoint, timeout=SECONDS, follow_redirects=False
        )
        if response.status_code >= 500:
            raise errors.HubUnreachable(
                f"{access.endpoint} answers with status {response.status_code}. Try again later."
            )
