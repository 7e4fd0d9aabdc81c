"""Addresses of the Discover pages."""

from django.urls import path, re_path

from apps.discovery import views

app_name = "discover"

_REPO = r"^(?P<owner>[A-Za-z0-9][\w.-]{0,95})/(?P<name>[\w.-]{1,96})/"

urlpatterns = [
    path("", views.home, name="home"),
    path("refresh/", views.refresh, name="refresh"),
    re_path(_REPO + "$", views.model, name="model"),
    re_path(_REPO + "refresh/$", views.refresh_model, name="refresh_model"),
]
