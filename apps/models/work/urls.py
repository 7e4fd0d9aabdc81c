"""Addresses of the jobs on models, among those of the Models pages."""

from django.urls import path

from apps.models.work import views

jobs_urlpatterns = [
    path("", views.jobs, name="jobs"),
    path("<int:key>/", views.job, name="job"),
    path("<int:key>/cancel/", views.cancel, name="job_cancel"),
    path("<int:key>/repeat/", views.repeat, name="job_repeat"),
    path("<int:key>/delete/", views.delete, name="job_delete"),
]

order_urlpatterns = [
    path("convert/", views.order_conversion, name="convert"),
    path("fuse/", views.order_fusion, name="fuse"),
    path("export/", views.order_export, name="export"),
    path("verify/", views.verify, name="verify"),
]
