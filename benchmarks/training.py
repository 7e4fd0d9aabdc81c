"""The trainer beside mlx_lm.lora, on the starter model.

Both train the same dense weights with the same BLAS, settings and rows. All rows are padded
to the same width, so that a step is the same work in whatever order they come.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks import mlx_lm_lora
from benchmarks.figures import Figure, median_figure

ROWS = 64
STEPS = 24
REPORT_STEPS = 4
WORDS = "the of and to in is was for that on as with by at from his it an were which are this"


def throughput(rounds: int) -> Iterator[Figure]:
    """Medians of all reports but each run's first, in which the step is compiled."""
    from apps.models.runtime.gguf.importer import import_gguf
    from apps.models.runtime.starter import find_starter

    with tempfile.TemporaryDirectory(prefix="mlxhub-") as folder:
        root = Path(folder)
        starter = find_starter()
        assert starter is not None, "the starter model's package is not installed"
        import_gguf(starter, root / "starter")
        mlx_lm_lora.copy_as_held(root / "starter", root / "model")
        _write_rows(root / "data")
        speeds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(rounds):
            for ours in (True, False) if number % 2 else (False, True):
                run = root / f"{'ours' if ours else 'theirs'}-{number}"
                speeds[ours] += _speeds(root, run, ours=ours)[1:]
        name = "LoRA training: the hub / mlx_lm.lora"
        yield median_figure(name, speeds[True], speeds[False], "step/s", at_least=0.97)


def _speeds(root: Path, run: Path, *, ours: bool) -> list[float]:
    """Steps per second of each report of a run in the folder ``run``.

    Not tokens: mlx-lm also counts, and learns, the padding behind a row's end.
    """
    from apps.training.trainer.config import TrainingConfig
    from apps.training.trainer.events import Trained, read_events
    from apps.training.trainer.mlx_lm_yaml import write_yaml

    config = TrainingConfig(
        model=str(root / "model"),
        data=str(root / "data"),
        iters=STEPS,
        steps_per_report=REPORT_STEPS,
        val_batches=1,
    )
    run.mkdir()
    if not ours:
        yaml = f"{write_yaml(config)}adapter_path: {run}\n"
        (run / "config.yaml").write_text(yaml)
        return mlx_lm_lora.speeds(run / "config.yaml")
    (run / "config.json").write_text(config.model_dump_json())
    command = [sys.executable, "-m", "apps.training.trainer", str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as trainer:
        # Its standard input stays open: where that ends, it stops and saves.
        assert trainer.wait(1800) == 0
    events, _ = read_events(run, 0)
    ends = [0.0] + [event.seconds for event in events if isinstance(event, Trained)]
    return [REPORT_STEPS / (end - begin) for begin, end in pairwise(ends)]


def _write_rows(folder: Path) -> None:
    folder.mkdir()
    draw = random.Random(0)
    for name, count in {"train.jsonl": ROWS, "valid.jsonl": 4}.items():
        texts = (" ".join(draw.choices(WORDS.split(), k=56)) for _ in range(count))
        (folder / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
