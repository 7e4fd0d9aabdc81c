"""What the registry tells those who build on it."""

from __future__ import annotations

from django.dispatch import Signal

serving_changed = Signal()
"""How a model is to be served has changed. Sent with ``model`` once that is saved."""
