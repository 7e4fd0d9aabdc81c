"""Addresses of the Downloads page."""

from django.urls import path

from apps.discovery.downloads import views

app_name = "downloads"

urlpatterns = [
    path("", views.home, name="home"),
    path("active/", views.active, name="active"),
    path("start/", views.start, name="start"),
    path("of/<str:owner>/<str:name>/", views.repository, name="repository"),
    path("<int:key>/pause/", views.pause, name="pause"),
    path("<int:key>/resume/", views.resume, name="resume"),
    path("<int:key>/cancel/", views.cancel, name="cancel"),
    path("<int:key>/first/", views.first, name="first"),
    path("<int:key>/forget/", views.forget, name="forget"),
]
