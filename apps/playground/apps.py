from django.apps import AppConfig


class PlaygroundConfig(AppConfig):
    name = "apps.playground"

    def ready(self) -> None:
        from apps.playground import receivers  # noqa: F401  (connects them)
