"""What each rule looks at, and what it says of what it sees.

A condition is a function of the time and the rule's threshold. It answers with one Matter for
each subject that something is the matter with, and with nothing where all is well.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.apps import apps as django_apps
from django.conf import settings
from django.db.models import Count, Q

from apps.inference.snapshot import look_at_engine
from apps.inference.usage.models import RequestRecord
from apps.jobs.models import Job, JobState
from apps.models.sizes import readable
from apps.system.certificate import REMEDY as CERTIFICATE_REMEDY
from apps.system.certificate import SOON, CertificateUnreadable, read_validity
from apps.system.history.memory import memory_outlook

GIB = 1024**3

FEW_REQUESTS = 20
"""Among fewer, one failure would be a rate."""


@dataclass(frozen=True)
class Matter:
    """Something is the matter."""

    summary: str
    remedy: str
    subject: str = ""


@dataclass(frozen=True)
class Kind:
    """A rule as it comes."""

    key: str
    label: str
    says: str
    """When it fires; ``{}`` is the threshold."""
    condition: Callable[[float, float], Iterator[Matter]]
    threshold: float = 0.0
    unit: str = ""
    """Of the threshold; empty where the rule has none."""
    most: float = 1e6
    patience: float = 0.0
    """Seconds that it must hold before it is an alert."""


def _disk(now: float, gigabytes: float) -> Iterator[Matter]:
    free = shutil.disk_usage(settings.HUB.data_dir).free
    if free < gigabytes * GIB:
        yield Matter(
            f"{readable(free)} are free on the data folder's disk.",
            "The Disk page and `mlx-hub disk` say what takes space and what nobody uses; that page "
            "removes it.",
        )


def _memory(now: float, _: float) -> Iterator[Matter]:
    if tight := memory_outlook(now=now):
        yield Matter(tight.text, tight.remedy)


def _engine(now: float, _: float) -> Iterator[Matter]:
    seen = look_at_engine()
    if problem := seen.error.message if seen.error else seen.stall:
        yield Matter(
            f"No chat is answered: {problem}",
            "The Health page and `mlx-hub doctor` say more, and the Logs page and "
            "`mlx-hub logs engine` have the engine's last words.",
        )


def _jobs(now: float, hours: float) -> Iterator[Matter]:
    since = datetime.fromtimestamp(now, UTC) - timedelta(hours=hours)
    for model in django_apps.get_models():
        if not issubclass(model, Job):
            continue
        failed = model._default_manager.filter(state=JobState.FAILED, finished_at__gte=since)
        for job in failed.order_by("pk"):
            name = str(model._meta.verbose_name)
            yield Matter(
                f"{name.capitalize()} “{job}” failed: {job.error}"[:500],
                "Its page says more: take it up again there, or delete it. `mlx-hub jobs --all` "
                "lists it.",
                subject=f"{model._meta.label_lower}:{job.pk}",
            )


def _errors(now: float, percent: float) -> Iterator[Matter]:
    since = datetime.fromtimestamp(now, UTC) - timedelta(minutes=5)
    told = RequestRecord.objects.filter(created_at__gte=since).aggregate(
        all=Count("pk"), failed=Count("pk", filter=Q(status__gte=500))
    )
    if told["all"] >= FEW_REQUESTS and told["failed"] > told["all"] * percent / 100:
        yield Matter(
            f"{told['failed']:,} of {told['all']:,} API requests of the last 5 minutes failed.",
            "The Usage page lists them with their errors; the Logs page and `mlx-hub logs web` say "
            "what led to them.",
        )


def _certificate(now: float, days: float) -> Iterator[Matter]:
    path = settings.HUB.tls_cert
    if path is None:
        return
    moment = datetime.fromtimestamp(now, UTC)
    try:
        validity = read_validity(path)
    except CertificateUnreadable as error:
        yield Matter("The file of the certificate can't be used.", str(error)[:500])
        return
    if not validity.holds(moment, longer=timedelta(days=days)):
        yield Matter(f"The certificate of HTTPS: {validity.words(moment)}", CERTIFICATE_REMEDY)


KINDS = (
    Kind("engine", "Engine", "It does not answer, or completes no step.", _engine, patience=30),
    Kind("memory", "Memory", "It is tight, or will be within 20 minutes at its pace.", _memory),
    Kind("disk", "Disk", "Less than {} GiB are free.", _disk, 5, "GiB free"),
    Kind("jobs", "Jobs", "One failed within the last {} hours.", _jobs, 24, "hours", 24 * 31),
    Kind("errors", "API errors", "More than {} % of 20 or more requests failed.", _errors, 10, "%"),
    Kind(
        "certificate",
        "Certificate",
        "It ends within {} days.",
        _certificate,
        SOON.days,
        "days",
        most=398,
    ),
)


def kind_of(key: str) -> Kind:
    """Raises KeyError for what is no rule (any more)."""
    return {kind.key: kind for kind in KINDS}[key]
