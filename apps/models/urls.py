"""Addresses of the Models pages."""

from django.urls import path

from apps.models import views

app_name = "models"

urlpatterns = [
    path("", views.model_list, name="list"),
    path("<str:slug>/", views.model_detail, name="detail"),
    path("<str:slug>/serving/", views.serving, name="serving"),
]
