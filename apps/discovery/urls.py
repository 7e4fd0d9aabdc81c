"""Addresses of the Discover pages."""

from django.urls import path, re_path

from apps.discovery import views
from apps.discovery.data import views as data

app_name = "discover"

_NAMED = r"(?P<owner>[A-Za-z0-9][\w.-]{0,95})/(?P<name>[\w.-]{1,96})/"
_REPO = f"^{_NAMED}"
_DATASET = f"^datasets/{_NAMED}"

urlpatterns = [
    path("", views.home, name="home"),
    path("refresh/", views.refresh, name="refresh"),
    path("datasets/", data.home, name="datasets"),
    path("datasets/refresh/", data.refresh, name="refresh_datasets"),
    re_path(_DATASET + "$", data.dataset, name="dataset"),
    re_path(_DATASET + "refresh/$", data.refresh_dataset, name="refresh_dataset"),
    re_path(_DATASET + "import/$", data.order, name="import_dataset"),
    re_path(_REPO + "$", views.model, name="model"),
    re_path(_REPO + "refresh/$", views.refresh_model, name="refresh_model"),
]
