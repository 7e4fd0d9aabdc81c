"""The inference app's small cast, for the dialects too."""

from apps.inference.tests.conftest import call, hub, pirate, qwen, served

__all__ = ["call", "hub", "pirate", "qwen", "served"]
