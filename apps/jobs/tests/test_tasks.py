"""What the worker does once, however many threads it has."""

from __future__ import annotations

import threading

from apps.jobs.tasks import once_a_process


def test_a_start_hook_runs_in_the_first_thread_alone() -> None:
    runs: list[str] = []
    hook = once_a_process(lambda: runs.append(threading.current_thread().name))
    threads = [threading.Thread(target=hook) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1
