"""The certificate that the hub serves HTTPS with holds, and for a while yet."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings

from apps.system.certificate import REMEDY, SOON, CertificateUnreadable, read_validity
from apps.system.health.findings import Finding


def check() -> Finding:
    """Degraded where its end is near, down where nobody takes it."""
    path = settings.HUB.tls_cert
    if path is None:
        return Finding("ok", "Not used: the hub itself serves HTTP.")
    now = datetime.now(UTC)
    try:
        validity = read_validity(path)
    except CertificateUnreadable as error:
        return Finding("degraded", "The file of the certificate can't be used.", str(error))
    if not validity.holds(now):
        return Finding("down", validity.words(now), REMEDY)
    if not validity.holds(now, longer=SOON):
        return Finding("degraded", validity.words(now), REMEDY)
    return Finding("ok", validity.words(now))
