from django.apps import AppConfig


class ModelWorkConfig(AppConfig):
    name = "apps.models.work"
    label = "model_work"
    verbose_name = "Model jobs"

    def ready(self) -> None:
        from apps.models.work import tasks  # noqa: F401 - its jobs join the line
