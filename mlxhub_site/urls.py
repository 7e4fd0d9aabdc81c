"""Every address the hub answers."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from mlxhub_site.api import admin_api, openai_api

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="playground:home"), name="home"),
    path("playground/", include("apps.playground.urls")),
    path("models/", include("apps.models.urls")),
    path("engine/", include("apps.inference.urls")),
    path("system/", include("apps.system.urls")),
    path("v1/", openai_api.urls),
    # The management API's paths come before Django's admin, which would
    # otherwise answer everything under /admin/.
    path("admin/", admin_api.urls),
    path("admin/", admin.site.urls),
]
