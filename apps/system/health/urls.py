"""Addresses that load balancers and service managers ask."""

from django.urls import path

from apps.system.health import probes

app_name = "healthz"

urlpatterns = [
    path("live", probes.live, name="live"),
    path("ready", probes.ready, name="ready"),
]
