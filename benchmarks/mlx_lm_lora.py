"""mlx-lm's own LoRA training, with the hub's BLAS: the yardstick for the trainer.

`python -m benchmarks.mlx_lm_lora CONFIG.yaml` trains as ``mlx_lm.lora --config`` does and
prints each report's steps per second. With two folders it copies the model in the
first to the second, its weights as the hub computes with them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_MARK = "steps per second: "


def speeds(config: Path) -> list[float]:
    """Steps per second, by report."""
    printed = _run(str(config)).splitlines()
    return [float(line.removeprefix(_MARK)) for line in printed if line.startswith(_MARK)]


def copy_as_held(model: Path, folder: Path) -> None:
    """In a process of its own, so that MLX's memory goes with it."""
    folder.mkdir()
    _run(str(model), str(folder))


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.mlx_lm_lora", *arguments]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800
    ).stdout


def _train(config: Path) -> None:
    from apps.models.runtime import accelerator

    accelerator.prepare()
    import yaml
    from mlx_lm import load, lora
    from mlx_lm.tuner.callbacks import TrainingCallback

    class Reports(TrainingCallback):  # type: ignore[misc]  # mlx-lm is untyped
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            print(f"\n{_MARK}{train_info['iterations_per_second']}", flush=True)

    given = yaml.load(config.read_text(), lora.yaml_loader)
    args = SimpleNamespace(**lora.CONFIG_DEFAULTS | given)
    # What ``lora.run`` does, which takes no callback.
    model, tokenizer = load(args.model)
    train, valid, _ = lora.load_dataset(args, tokenizer)
    lora.train_model(args, model, train, valid, Reports())


def _copy(model: Path, folder: Path) -> None:
    from apps.models.runtime import accelerator
    from benchmarks.dense_weights import write_as_held

    write_as_held(model, folder, accelerator.prepare())


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    if len(given) == 2:
        _copy(*given)
    else:
        _train(*given)
