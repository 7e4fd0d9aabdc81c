"""Addresses of the System pages."""

from django.urls import path

from apps.system import views

app_name = "system"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("status/", views.status, name="status"),
    path("engine/", views.engine, name="engine"),
    path("cache/", views.cache, name="cache"),
    path("cache/evict/", views.cache_evict, name="cache_evict"),
    path("cache/pin/", views.cache_pin, name="cache_pin"),
]
