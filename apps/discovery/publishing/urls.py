"""Addresses of the Publish page."""

from django.urls import path

from apps.discovery.publishing import views

app_name = "publishing"

urlpatterns = [
    path("", views.home, name="home"),
    path("<int:key>/cancel/", views.cancel, name="cancel"),
    path("<int:key>/repeat/", views.repeat, name="repeat"),
    path("<int:key>/forget/", views.forget, name="forget"),
]
