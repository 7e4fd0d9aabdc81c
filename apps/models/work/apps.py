from django.apps import AppConfig


class ModelWorkConfig(AppConfig):
    name = "apps.models.work"
    label = "model_work"
    verbose_name = "Model jobs"
