from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "apps.system.health"
