from django.apps import AppConfig


class TrackingConfig(AppConfig):
    name = "apps.training.tracking"
