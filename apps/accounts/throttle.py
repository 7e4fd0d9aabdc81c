"""Guessing passwords is slow: failed sign-ins are counted in the database, for all processes.

Counted are the failures of the last 15 minutes

- of one name from one address: five, and it has to wait;
- of one address, whatever the names: twenty;
- of one name, from all addresses together: fifty.

Only the first counts on the hub's own machine: guessers elsewhere can't lock its owner out.

An attempt is written down before it is judged, and taken back when it succeeds: however many
come at once, no more than the limit are ever tried.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import timedelta

from django.template.defaultfilters import pluralize
from django.utils import timezone

from apps.accounts.models import FailedSignIn, FailedSignInQuerySet

WINDOW = timedelta(minutes=15)

OF_NAME_AND_ADDRESS = 5
OF_ADDRESS = 20
OF_NAME = 50


class TooManyFailures(Exception):
    """Not judged, whatever the password."""

    def __init__(self, wait: timedelta) -> None:
        self.retry_after = max(1, math.ceil(wait.total_seconds()))
        """Seconds until one more may be tried."""
        minutes = math.ceil(self.retry_after / 60)
        super().__init__(
            f"Too many sign-ins failed. Try again in {minutes} minute{pluralize(minutes)}. On the "
            "hub's own machine `mlx-hub users reset NAME` makes a link for a new password at once."
        )


@dataclass(frozen=True)
class Attempt:
    """One that may be judged."""

    row: FailedSignIn

    def succeeded(self) -> None:
        """The name's failures from this address are forgotten, this one with them."""
        FailedSignIn.objects.filter(name=self.row.name, address=self.row.address).delete()


def begin_attempt(name: str, address: str) -> Attempt:
    """Write an attempt down. Raises TooManyFailures, and then it does not count."""
    here = _network(address)
    row = FailedSignIn.objects.create(name=digest_of_name(name), address=here)
    recent = FailedSignIn.objects.since(timezone.now() - WINDOW)
    of_name = recent.filter(name=row.name)
    counted = [(of_name.filter(address=here), OF_NAME_AND_ADDRESS)]
    if not _is_loopback(address):
        counted += [(recent.filter(address=here), OF_ADDRESS), (of_name, OF_NAME)]
    waits = [wait for failures, most in counted if (wait := _wait(failures, most)) is not None]
    if waits:
        row.delete()
        raise TooManyFailures(max(waits))
    return Attempt(row)


def _wait(failures: FailedSignInQuerySet, most: int) -> timedelta | None:
    """Until one more failure is no more than ``most``; None where it is not."""
    too_many = failures.count() - most
    if too_many <= 0:
        return None
    leaving = failures.order_by("at").values_list("at", flat=True)[too_many - 1 :].first()
    if leaving is None:  # a success at the same moment had them forgotten
        return None
    return leaving + WINDOW - timezone.now()


def forget_old_failures() -> None:
    """Delete what no limit looks at any more."""
    FailedSignIn.objects.filter(at__lte=timezone.now() - WINDOW).delete()


def digest_of_name(name: str) -> str:
    """Names that were tried are not kept: people type passwords there too."""
    return hashlib.sha256(name.strip().casefold().encode()).hexdigest()


def _network(address: str) -> str:
    """One IPv6 customer has a /64 of addresses."""
    found = _parsed(address)
    if found is None:
        return address[:64]
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _is_loopback(address: str) -> bool:
    found = _parsed(address)
    return found is not None and found.is_loopback


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no address. A socket for both kinds writes IPv4 ones as ::ffff:1.2.3.4:
    all of them together would be one /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
