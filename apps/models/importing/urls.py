"""Addresses of the Import page, among those of the Models pages."""

from django.urls import path

from apps.models.importing import views

urlpatterns = [
    path("", views.home, name="import"),
    path("start/", views.start, name="import_start"),
    path("jobs/", views.jobs, name="import_jobs"),
    path("jobs/<int:key>/cancel/", views.cancel, name="import_cancel"),
    path("uploads/", views.begin_upload, name="import_upload"),
    path("uploads/<str:token>/", views.upload_piece, name="import_piece"),
]
