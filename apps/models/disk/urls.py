"""Addresses of the Disk page, among those of the Models pages."""

from django.urls import path

from apps.models.disk import views

urlpatterns = [
    path("", views.home, name="disk"),
    path("leftovers/delete/", views.remove_leftover, name="disk_remove_leftover"),
    path("logs/delete/", views.remove_old_logs, name="disk_remove_logs"),
]
