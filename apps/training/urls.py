"""Addresses of the Training pages."""

from django.urls import path

from apps.training import order_views, views

app_name = "training"

urlpatterns = [
    path("", views.home, name="home"),
    path("new/", order_views.new, name="new"),
    path("unload/", order_views.unload, name="unload"),
    path("<int:key>/", views.detail, name="detail"),
    path("<int:key>/learnt/", views.learnt, name="learnt"),
    path("<int:key>/chart/", views.chart, name="chart"),
    path("<int:key>/log/", views.log, name="log"),
    path("<int:key>/lora.yaml", views.settings_file, name="settings"),
    path("<int:key>/stop/", views.stop, name="stop"),
    path("<int:key>/cancel/", views.cancel, name="cancel"),
    path("<int:key>/resume/", views.resume, name="resume"),
    path("<int:key>/retry/", views.retry, name="retry"),
    path("<int:key>/delete/", views.delete, name="delete"),
]
