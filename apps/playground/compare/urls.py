"""Addresses of the comparisons."""

from django.urls import path

from apps.playground.compare import views

app_name = "compare"

urlpatterns = [
    path("", views.home, name="home"),
    path("start/", views.start, name="start"),
    path("<uuid:pk>/", views.comparison, name="comparison"),
    path("<uuid:pk>/send/", views.send, name="send"),
    path("<uuid:pk>/stop/", views.stop, name="stop"),
    path("m/<int:pk>/vote/", views.vote, name="vote"),
    path("m/<int:pk>/retry/", views.retry, name="retry"),
    path("m/<int:pk>/", views.finished, name="finished"),
]
