from django.apps import AppConfig


class PublishingConfig(AppConfig):
    name = "apps.discovery.publishing"
