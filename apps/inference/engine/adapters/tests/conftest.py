from __future__ import annotations

from apps.models.runtime import accelerator

# Before anything here imports MLX.
PROFILE = accelerator.prepare()
