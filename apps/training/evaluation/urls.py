"""Addresses of the Evaluations pages."""

from django.urls import path

from apps.training.evaluation import views

app_name = "evaluations"

urlpatterns = [
    path("", views.home, name="home"),
    path("new/", views.new, name="new"),
    path("prompts/<int:key>/delete/", views.delete_prompts, name="delete_prompts"),
    path("<int:key>/", views.detail, name="detail"),
    path("<int:key>/cancel/", views.cancel, name="cancel"),
    path("<int:key>/resume/", views.resume, name="resume"),
    path("<int:key>/delete/", views.delete, name="delete"),
]
