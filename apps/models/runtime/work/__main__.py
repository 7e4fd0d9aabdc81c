"""``python -m apps.models.runtime.work``: one order, as ``orders`` and ``events`` describe."""

from __future__ import annotations

import os
import sys
import threading
from typing import IO

from pydantic import ValidationError

from apps.models.runtime import accelerator
from apps.models.runtime.errors import RuntimeFault
from apps.models.runtime.work.events import Event, Failed, Figures, Finished, Progress
from apps.models.runtime.work.orders import (
    ConvertOrder,
    FuseOrder,
    GgufOrder,
    Order,
    order_adapter,
)


def main() -> int:
    """Exit status 0 where the order was carried out, 1 where it failed, 2 where it is none."""
    # The pipe is for events alone: libraries print, and tokenizers draw progress bars.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        order = order_adapter.validate_json(sys.stdin.buffer.readline())
    except ValidationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this process's log
        return 2
    threading.Thread(target=_end_with_input, name="lifeline", daemon=True).start()
    try:
        figures = _carry_out(order, events)
    except RuntimeFault as error:
        _say(events, Failed(message=str(error)))
        return 1
    _say(events, Finished(figures=figures))
    return 0


def _carry_out(order: Order, events: IO[str]) -> Figures:
    # Before anything imports MLX: on a CPU this decides which BLAS it finds.
    profile = accelerator.prepare()
    from apps.models.runtime.work.converting import convert
    from apps.models.runtime.work.fusing import fuse
    from apps.models.runtime.work.gguf_export import export_gguf

    def report(doing: str, fraction: float) -> None:
        _say(events, Progress(doing=doing, fraction=fraction))

    match order:
        case ConvertOrder():
            return convert(order, profile, report)
        case FuseOrder():
            return fuse(order, profile, report)
        case GgufOrder():
            return export_gguf(order, report)


def _say(events: IO[str], event: Event) -> None:
    events.write(f"{event.model_dump_json()}\n")
    events.flush()


def _end_with_input() -> None:
    """Whoever gave the order holds the other end: when it closes, nobody wants the result."""
    while os.read(0, 1024):
        pass
    # No clean-up could be trusted here: the staged folder is known by this process's id.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
