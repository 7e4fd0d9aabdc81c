"""Small runs: a tiny model, a few rows, and ways to interrupt them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apps.training.trainer.__main__ import CONFIG_FILE, main
from apps.training.trainer.control import Control, Wish
from apps.training.trainer.events import Event, read_events

DEFAULTS: dict[str, Any] = {
    "num_layers": -1,
    "iters": 12,
    "batch_size": 3,
    "learning_rate": 0.01,
    "steps_per_report": 3,
    "steps_per_eval": 4,
    "steps_per_save": 2,
    "val_batches": 2,
    "lora": {"rank": 2, "scale": 4.0, "dropout": 0.1},
}


def rows(count: int, *, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"prompt": f"Number {n}?", "completion": f"It is {n}, " + "really " * (n % 5)}
        for n in range(first, first + count)
    ]


def pairs(count: int, *, first: int = 0) -> list[dict[str, Any]]:
    """Answers with the number are preferred to those without."""
    return [
        {"prompt": f"Number {n}?", "chosen": f"It is {n}.", "rejected": "I forgot. " * (1 + n % 3)}
        for n in range(first, first + count)
    ]


def write_rows(path: Path, given: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in given))


def make_run(folder: Path, model: Path, **settings: Any) -> Path:
    """A run's folder with its configuration and data."""
    folder.mkdir()
    data = folder / "data"
    data.mkdir()
    write_rows(data / "train.jsonl", settings.pop("train", rows(10)))
    write_rows(data / "valid.jsonl", settings.pop("valid", rows(5, first=50)))
    if held_out := settings.pop("held_out", None):
        write_rows(data / "test.jsonl", held_out)
    base = settings.pop("base", str(model))
    config = DEFAULTS | {"model": base, "data": str(data)} | settings
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    return folder


def train(run: Path, control: Control | None = None) -> list[Event]:
    """Run to its end, whatever that is; all of its events."""
    main(run, control or Control())
    return events(run)


def events(run: Path) -> list[Event]:
    return read_events(run, 0)[0]


class AsksAfter(Control):
    """Wants the run to stop once it was asked ``looks`` times."""

    def __init__(self, looks: int, wish: Wish = Wish.STOP) -> None:
        super().__init__()
        self._looks = looks
        self._later = wish

    def look(self) -> Wish:
        self._looks -= 1
        return self._later if self._looks < 0 else Wish.GO_ON
