"""GET /metrics, in Prometheus's text format.

What web and worker processes counted is added up from their files; a process that is gone
still counts, as a counter must not fall. Everything else is read now.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from apps.system.metrics.collector import HubCollector

router = Router()


@router.get("", summary="Figures for Prometheus", include_in_schema=False)
def get_metrics(request: HttpRequest) -> HttpResponse:
    """The owner's, or a management key's."""
    registry = CollectorRegistry()
    registry.register(HubCollector())
    if settings.METRICS_DIR is None:
        registry.register(_ThisProcess())
    else:
        MultiProcessCollector(registry, str(settings.METRICS_DIR))  # type: ignore[no-untyped-call]
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _ThisProcess(Collector):
    """What this process alone counted."""

    def collect(self):  # type: ignore[no-untyped-def]  # as the library has it
        return REGISTRY.collect()
