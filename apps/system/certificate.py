"""Until when the certificate holds that the hub serves HTTPS with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

SOON = timedelta(days=21)
"""Before the end: time for a renewal that failed to be noticed and mended.

Renewers begin thirty days before the end of a certificate of ninety.
"""

REMEDY = (
    "Renew it, put the new one in its place, and run `mlx-hub restart`: certificates are read at "
    "the start."
)


class CertificateUnreadable(Exception):
    """The file holds no certificate that can be read; the message says why and what to do."""


@dataclass(frozen=True)
class Validity:
    """Of a certificate chain: between these moments every one of them holds."""

    begins: datetime
    ends: datetime

    def words(self, now: datetime) -> str:
        """How long it still holds."""
        if now < self.begins:
            return f"It holds from {self.begins:%Y-%m-%d %H:%M} UTC on, and not yet."
        if now >= self.ends:
            return f"It ended on {self.ends:%Y-%m-%d %H:%M} UTC: no browser or client takes it."
        days = (self.ends - now).days
        left = f"in {days} day{'' if days == 1 else 's'}" if days else "within a day"
        return f"It ends {left}, on {self.ends:%Y-%m-%d}."

    def holds(self, now: datetime, *, longer: timedelta = timedelta()) -> bool:
        """Whether it does, and will for ``longer``."""
        return self.begins <= now and now + longer < self.ends


def read_validity(path: Path) -> Validity:
    """Of the PEM file's whole chain. Raises CertificateUnreadable."""
    # Here, because few hubs serve HTTPS by themselves and this is megabytes of code.
    from cryptography.x509 import load_pem_x509_certificates

    try:
        chain = load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateUnreadable(
            f"{path} can't be read as a certificate: {error}. The next start of the hub would "
            "fail. Put the chain there in PEM form, or set MLXHUB_TLS_CERT to where it is."
        ) from error
    return Validity(
        begins=max(each.not_valid_before_utc for each in chain),
        ends=min(each.not_valid_after_utc for each in chain),
    )
