"""Addresses of the engine's part in the pages."""

from django.urls import path

from apps.inference import views

app_name = "inference"

urlpatterns = [
    path("models/", views.states, name="states"),
    path("models/<str:slug>/loaded/", views.loaded, name="loaded"),
    path("models/<str:slug>/fits/", views.fits, name="fits"),
    path("models/<str:slug>/load/", views.load, name="load"),
    path("models/<str:slug>/cancel/", views.cancel_load, name="cancel_load"),
    path("models/<str:slug>/unload/", views.unload, name="unload"),
    path("cache/clear/", views.clear_cache, name="clear_cache"),
]
