from django.apps import AppConfig


class ResponsesConfig(AppConfig):
    name = "apps.inference.api.responses"
    verbose_name = "Responses API"
