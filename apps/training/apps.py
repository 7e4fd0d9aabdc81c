from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "apps.training"

    def ready(self) -> None:
        from apps.training import provenance, receivers, tasks  # noqa: F401 - they are connected, and join the line
