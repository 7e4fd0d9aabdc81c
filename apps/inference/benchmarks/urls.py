"""Addresses of the Benchmarks pages."""

from django.urls import path

from apps.inference.benchmarks import views

app_name = "benchmarks"

urlpatterns = [
    path("", views.home, name="home"),
    path("start/", views.start, name="start"),
    path("active/", views.active, name="active"),
    path("compare/", views.compare, name="compare"),
    path("export/", views.export, name="export"),
    path("<int:key>/", views.detail, name="detail"),
    path("<int:key>/cancel/", views.cancel, name="cancel"),
    path("<int:key>/delete/", views.delete, name="delete"),
]
