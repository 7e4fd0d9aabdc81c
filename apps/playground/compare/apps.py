from django.apps import AppConfig


class CompareConfig(AppConfig):
    name = "apps.playground.compare"
