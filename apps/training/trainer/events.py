"""What a run tells: one JSON object per line of events.jsonl.

A run that goes on from a checkpoint tells the steps behind it again, with the same
figures: whoever keeps them goes by kind and step. A line that a kill cut short is
removed when the run goes on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from apps.training.trainer.errors import disk_full

FILE = "events.jsonl"

SPARE_FILE = ".spare"
SPARE_BYTES = 16 * 1024
"""Kept so that a run can say that the disk is full."""


Reason = Literal["finished", "early_stopping", "stopped", "abandoned", "cancelled"]
"""``abandoned``: whoever started it is gone. All but ``cancelled`` save what was learnt."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class Started(_Event):
    """The model and the data are read."""

    kind: Literal["started"] = "started"
    step: int
    """Of the checkpoint that the run goes on from; 0 at its beginning."""
    parameters: int
    trainable: int
    """Parameters that the run changes."""
    rows: int
    validation_rows: int
    test_rows: int = 0
    """Of the whole split; 0 where the result is not measured on it."""
    truncated: int
    """Training rows that are cut at the length limit."""
    dropped: int
    """Training rows without a token to learn."""
    tokens: int
    """Of an epoch, without padding."""


class Trained(_Event):
    """Means over the steps since the last report."""

    kind: Literal["trained"] = "trained"
    step: int
    loss: float
    """The objective's: mean cross entropy of a trained token, in nats, or mean of the pairs."""
    learning_rate: float
    gradient_norm: float
    """Of the last update."""
    tokens: int
    """Trained tokens of the run so far."""
    tokens_per_second: float
    seconds: float = 0.0
    """Spent on the run's steps so far, without evaluations."""
    peak_memory: int
    """Bytes, since the process began."""
    figures: dict[str, float] = Field(default_factory=dict)
    """What the objective tells beside its loss, by name: rewards of pairs."""


class RowLoss(_Event):
    """A validation row and how badly it is predicted."""

    row: int
    """Index in valid.jsonl, from 0."""
    loss: float


class Evaluated(_Event):
    kind: Literal["evaluated"] = "evaluated"
    step: int
    loss: float
    seconds: float
    best: bool
    """Whether no earlier evaluation was as good."""
    figures: dict[str, float] = Field(default_factory=dict)
    worst_rows: tuple[RowLoss, ...] = ()
    best_rows: tuple[RowLoss, ...] = ()


class Measured(_Event):
    """What the run's result comes to on rows that nothing was chosen by."""

    kind: Literal["measured"] = "measured"
    step: int
    loss: float
    """The objective's, as ``Evaluated`` has it."""
    rows: int
    seconds: float
    figures: dict[str, float] = Field(default_factory=dict)


class Sampled(_Event):
    """What the model answers to a chosen prompt now."""

    kind: Literal["sampled"] = "sampled"
    step: int
    prompt: int
    """Index in the configuration's prompts."""
    text: str


class Saved(_Event):
    """A checkpoint is on disk."""

    kind: Literal["saved"] = "saved"
    step: int


class Ended(_Event):
    """The run is over, or stops here for now."""

    kind: Literal["ended"] = "ended"
    step: int
    reason: Reason


class Failed(_Event):
    kind: Literal["failed"] = "failed"
    fault: str
    """``kind`` of a TrainingFault."""
    message: str


Event = Started | Trained | Evaluated | Measured | Sampled | Saved | Ended | Failed

_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def parse_event(line: bytes) -> Event:
    """Raises pydantic's ValidationError."""
    return _EVENT.validate_json(line)


class EventLog:
    """Appends to a run's events."""

    def __init__(self, run: Path) -> None:
        """Raises DiskFull."""
        self._path = run / FILE
        self._spare = run / SPARE_FILE
        try:
            _remove_torn_line(self._path)
            self._spare.write_bytes(bytes(SPARE_BYTES))
        except OSError as error:
            raise disk_full(error) from error

    def tell(self, event: Event) -> None:
        """Raises DiskFull; then there is no half line of it."""
        try:
            with self._path.open("ab") as file:
                file.write(event.model_dump_json().encode() + b"\n")
        except OSError as error:
            _remove_torn_line(self._path)
            raise disk_full(error) from error

    def tell_last(self, event: Ended | Failed) -> None:
        """Also on a full disk: there is a little room for it."""
        self._spare.unlink(missing_ok=True)
        self.tell(event)


class Silence(EventLog):
    """Of a rank that is not the first: that one tells."""

    def __init__(self) -> None:
        pass

    def tell(self, event: Event) -> None:
        pass

    def tell_last(self, event: Ended | Failed) -> None:
        pass


def read_events(run: Path, offset: int) -> tuple[list[Event], int]:
    """The whole lines from ``offset`` on, and where the next ones will begin.

    An offset behind the end, of a file that was cut since, begins at its end.
    """
    try:
        with (run / FILE).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(min(offset, size))
            begin, data = file.tell(), file.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    return [parse_event(line) for line in whole.splitlines()], begin + len(whole)


def _remove_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)
