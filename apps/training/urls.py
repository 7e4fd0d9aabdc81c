"""Addresses of the Training pages."""

from django.urls import path

from apps.training import order_views, overlay_views, queue_views, sweep_views, views

app_name = "training"

urlpatterns = [
    path("", views.home, name="home"),
    path("new/", order_views.new, name="new"),
    path("unload/", order_views.unload, name="unload"),
    path("queue/", queue_views.queue, name="queue"),
    path("queue/<str:label>/<int:key>/up/", queue_views.move, {"by": -1}, name="move_up"),
    path("queue/<str:label>/<int:key>/down/", queue_views.move, {"by": 1}, name="move_down"),
    path("queue/<str:label>/<int:key>/cancel/", queue_views.withdraw, name="withdraw"),
    path("sweeps/<int:key>/", sweep_views.detail, name="sweep"),
    path("sweeps/<int:key>/pause/", sweep_views.pause, name="sweep_pause"),
    path("sweeps/<int:key>/resume/", sweep_views.resume, name="sweep_resume"),
    path("sweeps/<int:key>/cancel/", sweep_views.cancel, name="sweep_cancel"),
    path("compare/", overlay_views.compare, name="compare"),
    path("<int:key>/", views.detail, name="detail"),
    path("<int:key>/learnt/", views.learnt, name="learnt"),
    path("<int:key>/chart/", views.chart, name="chart"),
    path("<int:key>/log/", views.log, name="log"),
    path("<int:key>/lora.yaml", views.settings_file, name="settings"),
    path("<int:key>/pause/", views.pause, name="pause"),
    path("<int:key>/stop/", views.stop, name="stop"),
    path("<int:key>/keep/", views.keep, name="keep"),
    path("<int:key>/arrange/", views.arrange, name="arrange"),
    path("<int:key>/cancel/", views.cancel, name="cancel"),
    path("<int:key>/resume/", views.resume, name="resume"),
    path("<int:key>/retry/", views.retry, name="retry"),
    path("<int:key>/delete/", views.delete, name="delete"),
]
