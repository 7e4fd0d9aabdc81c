"""Addresses of the Models pages."""

from django.urls import include, path

from apps.models import views
from apps.models.work.urls import jobs_urlpatterns, order_urlpatterns

app_name = "models"

urlpatterns = [
    path("", views.model_list, name="list"),
    path("import/", include("apps.models.importing.urls")),
    path("jobs/", include(jobs_urlpatterns)),
    path("disk/", include("apps.models.disk.urls")),
    path("<str:slug>/", views.model_detail, name="detail"),
    path("<str:slug>/serving/", views.serving, name="serving"),
    path("<str:slug>/defaults/", views.defaults, name="defaults"),
    path("<str:slug>/delete/", views.delete, name="delete"),
    path(
        "<str:slug>/adapters/<str:adapter_slug>/delete/",
        views.delete_adapter,
        name="delete_adapter",
    ),
    path("<str:slug>/", include(order_urlpatterns)),
]
