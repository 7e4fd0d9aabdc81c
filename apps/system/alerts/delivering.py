"""Telling webhooks: a row for each thing to tell, tried until it is heard or given up.

A call is a POST of JSON with the header ``X-MLXHub-Signature: t=SECONDS,v1=HEX``, where HEX is
the HMAC-SHA256 of "SECONDS.BODY" with the webhook's secret: the receiver knows who calls, and
that the call is not an old one sent again. https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from apps.outgoing.errors import OutgoingError
from apps.outgoing.post import post_body
from apps.system.alerts.models import Alert, Delivery, Webhook

logger = logging.getLogger(__name__)

SIGNATURE = "X-MLXHub-Signature"
TIMEOUT = 5.0
MOST_ATTEMPTS = 8
FIRST_WAIT = 15.0
"""Seconds until the second try; doubled with each one, so that the last is half an hour later."""

AT_ONCE = 20
"""Deliveries that one task tries."""

KEPT = timedelta(days=30)


def payload_of(alert: Alert) -> dict[str, Any]:
    """What a webhook is told."""
    return {
        "event": "firing" if alert.is_firing else "resolved",
        "kind": alert.kind,
        "subject": alert.subject,
        "summary": alert.summary,
        "remedy": alert.remedy,
        "started_at": alert.started_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }


def test_payload() -> dict[str, Any]:
    """What a webhook is told to see whether it hears."""
    return {"event": "test", "summary": "This is a test of the hub's alerts.", "remedy": ""}


def tell(alert: Alert) -> None:
    """Have every webhook told; call it in the transaction of what is told."""
    payload = payload_of(alert)
    Delivery.objects.bulk_create(
        Delivery(webhook=webhook, alert=alert, payload=payload) for webhook in Webhook.objects.all()
    )


def deliver_due() -> int:
    """Try what is due; how many were tried."""
    now = datetime.now(UTC)
    Delivery.objects.filter(created_at__lt=now - KEPT).delete()
    due = Delivery.objects.due(now).select_related("webhook")[:AT_ONCE]
    return sum(attempt(delivery) for delivery in list(due) if delivery.claim(now))


def attempt(delivery: Delivery) -> bool:
    """Try it once, and write down how that went."""
    delivery.attempts += 1
    try:
        _post(delivery)
    except OutgoingError as error:
        delivery.error = str(error)[:500]
        _put_off(delivery)
        logger.warning("A webhook was not told (try %d): %s", delivery.attempts, error)
    else:
        delivery.state, delivery.error = Delivery.State.DELIVERED, ""
    delivery.save(update_fields=["attempts", "state", "error", "next_try_at"])
    return True


def signature(secret: str, body: bytes, *, at: int) -> str:
    """The header's value for a body that is sent at a time (seconds since the epoch)."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _post(delivery: Delivery) -> None:
    body = json.dumps(delivery.payload).encode()
    webhook = delivery.webhook
    post_body(
        webhook.url,
        body,
        headers={SIGNATURE: signature(webhook.secret, body, at=int(time.time()))},
        # Who can't reach the hub can't make it call into its own network either.
        allow_private=not settings.HUB.is_open,
        timeout=TIMEOUT,
    )


def _put_off(delivery: Delivery) -> None:
    if delivery.attempts >= MOST_ATTEMPTS:
        delivery.state = Delivery.State.GIVEN_UP
        return
    wait = FIRST_WAIT * 2 ** (delivery.attempts - 1)
    delivery.next_try_at = datetime.now(UTC) + timedelta(seconds=wait)
