"""What a person changes of alerts. Each change is in the audit log."""

from __future__ import annotations

from django.db import transaction

from apps.audit.models import AuditEntry
from apps.audit.recording import record
from apps.outgoing.addresses import target_of
from apps.system.alerts.conditions import Kind
from apps.system.alerts.delivering import attempt, test_payload
from apps.system.alerts.models import Delivery, Rule, Webhook


def change_rule(*, kind: Kind, enabled: bool, threshold: float | None) -> None:
    """From the next look on."""
    with transaction.atomic():
        Rule.objects.update_or_create(
            kind=kind.key, defaults={"enabled": enabled, "threshold": threshold}
        )
        record("alert.rule", kind.key, enabled=enabled, threshold=threshold)


def add_webhook(*, url: str, allow_private: bool) -> Webhook:
    """Have an address told of alerts from now on. Raises BadTarget."""
    target_of(url, allow_private=allow_private)
    with transaction.atomic():
        webhook = Webhook.objects.create(url=url)
        record("webhook.add", webhook.host)
    return webhook


def remove_webhook(*, webhook: Webhook) -> None:
    """Tell it nothing any more."""
    with transaction.atomic():
        record("webhook.remove", webhook.host)
        webhook.delete()


def test_webhook(*, webhook: Webhook) -> Delivery:
    """Tell it something now; the delivery says how that went. It is not tried again."""
    delivery = Delivery(webhook=webhook, payload=test_payload())
    attempt_once(delivery)
    if delivery.state == Delivery.State.DELIVERED:
        record("webhook.test", webhook.host)
    else:
        failed = AuditEntry.Outcome.FAILED
        record("webhook.test", webhook.host, outcome=failed, why=delivery.error)
    return delivery


def attempt_once(delivery: Delivery) -> None:
    """Try a delivery that has no second try."""
    delivery.next_try_at = delivery.next_try_at + Delivery.CLAIMED_FOR
    delivery.save()
    attempt(delivery)
    if delivery.state == Delivery.State.WAITING:
        delivery.state = Delivery.State.GIVEN_UP
        delivery.save(update_fields=["state"])
