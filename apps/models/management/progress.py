"""Progress of a long command: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import OutputWrapper
from rich.progress import Progress as Bar


@contextmanager
def shown_progress(stdout: OutputWrapper) -> Iterator[Callable[[str, float], None]]:
    """A callback that takes a stage and its share done, 0.0 to 1.0."""
    if not stdout.isatty():
        yield _lines(stdout)
        return
    with Bar(transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda stage, fraction: bar.update(task, description=stage, completed=fraction)


def _lines(stdout: OutputWrapper) -> Callable[[str, float], None]:
    """One line for each stage as it begins."""
    last = ""

    def report(stage: str, fraction: float) -> None:
        nonlocal last
        if stage != last:
            last = stage
            stdout.write(f"  {stage}")

    return report
