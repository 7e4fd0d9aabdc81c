"""Addresses of the System pages."""

from django.urls import path

from apps.system import views
from apps.system.alerts import views as alerts
from apps.system.health import views as health
from apps.system.history import views as history
from apps.system.logs import views as logs
from apps.system.palette import views as palette

app_name = "system"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("status/", views.status, name="status"),
    path("engine/", views.engine, name="engine"),
    path("cache/", views.cache, name="cache"),
    path("cache/evict/", views.cache_evict, name="cache_evict"),
    path("cache/pin/", views.cache_pin, name="cache_pin"),
    path("palette/", palette.found, name="palette"),
    path("health/", health.home, name="health"),
    path("history/", history.data, name="history"),
    path("logs/", logs.home, name="logs"),
    path("alerts/", alerts.home, name="alerts"),
    path("alerts/rules/<slug:kind>/", alerts.change_rule, name="alert_rule"),
    path("alerts/webhooks/", alerts.add_webhook, name="webhook_add"),
    path("alerts/webhooks/<int:key>/test/", alerts.test_webhook, name="webhook_test"),
    path("alerts/webhooks/<int:key>/remove/", alerts.remove_webhook, name="webhook_remove"),
]
