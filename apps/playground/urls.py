"""Addresses of the playground."""

from django.urls import path

from apps.playground import views
from apps.playground.collecting import views as collecting
from apps.playground.collecting.request_views import collect_requests

app_name = "playground"

urlpatterns = [
    path("", views.home, name="home"),
    path("start/", views.start, name="start"),
    path("c/<uuid:pk>/", views.conversation, name="conversation"),
    path("c/<uuid:pk>/send/", views.send, name="send"),
    path("c/<uuid:pk>/settings/", views.save_settings, name="settings"),
    path("c/<uuid:pk>/markdown/", views.markdown, name="markdown"),
    path("c/<uuid:pk>/rename/", views.rename, name="rename"),
    path("c/<uuid:pk>/delete/", views.delete, name="delete"),
    path("m/<int:pk>/", views.message, name="message"),
    path("m/<int:pk>/events/", views.events, name="events"),
    path("m/<int:pk>/stop/", views.stop, name="stop"),
    path("m/<int:pk>/regenerate/", views.regenerate, name="regenerate"),
    path("m/<int:pk>/continue/", views.go_on, name="continue"),
    path("m/<int:pk>/edit/", views.edit, name="edit"),
    path("m/<int:pk>/show/", views.show, name="show"),
    path("m/<int:pk>/rate/", collecting.rate, name="rate"),
    path("m/<int:pk>/correct/", collecting.correct, name="correct"),
    path("collect/", collecting.collect, name="collect"),
    path("collect/requests/", collect_requests, name="collect_requests"),
    path("m/<int:pk>/delete/", views.delete_message, name="delete-message"),
]
