"""What a run leaves: an adapter in mlx-lm's format, or, of full training, a model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.utils import save

from apps.training.trainer.checkpoints import Arrays, mlx_writes, save_arrays, write_text
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.errors import disk_full
from apps.training.trainer.setup import adapter_description, trainable

ADAPTER = "adapter"
MODEL = "model"
_BEST = "best.safetensors"


class Results:
    def __init__(self, run: Path, config: TrainingConfig) -> None:
        self._run = run
        self._config = config

    def keep_best(self, weights: Arrays) -> None:
        """Remember these as the best so far. Raises DiskFull."""
        staged = self._run / f".new.{_BEST}"
        try:
            save_arrays(staged, weights)
            staged.rename(self._run / _BEST)
        except OSError as error:
            raise disk_full(error) from error

    def write(self, model: nn.Module, tokenizer: Any) -> None:
        """Write the result beside the run's other files. Raises DiskFull.

        The model has the result's weights afterwards.
        """
        best = self._run / _BEST
        if self._config.keep_best and best.exists():
            model.load_weights(str(best), strict=False)
        try:
            if self._config.method == "full":
                self._publish(MODEL, lambda folder: self._write_model(folder, model, tokenizer))
            else:
                self._publish(ADAPTER, lambda folder: self._write_adapter(folder, model))
        except OSError as error:
            raise disk_full(error) from error

    def _publish(self, name: str, fill: Callable[[Path], None]) -> None:
        """A result that was there is replaced only once the new one is whole.

        A kill between the two renames leaves none; a resumed run writes it again.
        """
        staged, target = self._run / f".{name}.new", self._run / name
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        fill(staged)
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)

    def _write_adapter(self, folder: Path, model: nn.Module) -> None:
        save_arrays(folder / "adapters.safetensors", trainable(model))
        description = adapter_description(self._config)
        write_text(folder / "adapter_config.json", json.dumps(description, indent=2))

    def _write_model(self, folder: Path, model: nn.Module, tokenizer: Any) -> None:
        source = Path(self._config.model)
        config = json.loads((source / "config.json").read_text())
        if mx.default_device() == mx.Device(mx.cpu):
            # There everything is computed in float32; a base's quantisation is gone.
            config = {key: value for key, value in config.items() if "quantization" not in key}
        with mlx_writes():
            save(folder, source, model, tokenizer, config, donate_model=False)
