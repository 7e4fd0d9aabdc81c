"""Addresses of the Audit page."""

from django.urls import path

from apps.audit import views

app_name = "audit"

urlpatterns = [path("", views.home, name="home")]
