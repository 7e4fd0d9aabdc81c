"""Addresses of the Usage page."""

from django.urls import path, re_path

from apps.inference.usage import views

app_name = "usage"

urlpatterns = [
    path("", views.home, name="home"),
    re_path(r"^export\.(?P<file_type>csv|json)$", views.export, name="export"),
]
