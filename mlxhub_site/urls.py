"""Every address the hub answers."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from mlxhub_site.api import admin_api, hub_api, metrics_api, openai_api

# Django's admin and the API's pages name no icon of their own; browsers then ask here.
favicon = RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="playground:home"), name="home"),
    path("favicon.ico", favicon, name="favicon"),
    path("playground/", include("apps.playground.urls")),
    path("compare/", include("apps.playground.compare.urls")),
    path("models/", include("apps.models.urls")),
    path("discover/", include("apps.discovery.urls")),
    path("downloads/", include("apps.discovery.downloads.urls")),
    path("publish/", include("apps.discovery.publishing.urls")),
    path("data/", include("apps.datasets.urls")),
    path("engine/", include("apps.inference.urls")),
    path("training/", include("apps.training.urls")),
    path("evaluations/", include("apps.training.evaluation.urls")),
    path("benchmarks/", include("apps.inference.benchmarks.urls")),
    path("usage/", include("apps.inference.usage.urls")),
    path("keys/", include("apps.inference.keys.urls")),
    path("system/", include("apps.system.urls")),
    path("metrics", metrics_api.urls),
    path("healthz/", include("apps.system.health.urls")),
    path("audit/", include("apps.audit.urls")),
    path("", include("apps.accounts.urls")),
    path("api/", hub_api.urls),
    path("v1/", openai_api.urls),
    # The management API's paths come before Django's admin, which would
    # otherwise answer everything under /admin/.
    path("admin/", admin_api.urls),
    # One sign-in for all, with its throttle.
    path(
        "admin/login/",
        RedirectView.as_view(pattern_name="accounts:sign_in", query_string=True),
        name="admin-sign-in",
    ),
    path("admin/", admin.site.urls),
]
