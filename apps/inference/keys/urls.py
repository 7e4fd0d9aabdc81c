"""Addresses of the Keys page."""

from django.urls import path

from apps.inference.keys import views

app_name = "keys"

urlpatterns = [
    path("", views.home, name="home"),
    path("create/", views.create, name="create"),
    path("<int:key>/revoke/", views.revoke, name="revoke"),
]
