"""What the worker does for inference, by itself."""

from __future__ import annotations

import logging
import threading

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_shutdown, on_startup
from huey.exceptions import RetryTask

from apps.inference.client import EngineError, EngineUnavailable
from apps.inference.heartbeat import keep_beating
from apps.inference.models import WarmPrompt
from apps.inference.services import sync_cache_entries, warm_saved

logger = logging.getLogger(__name__)

ENGINE_RETRY_DELAY = 5
"""Seconds until an engine that is not up is tried again."""


class _ProcessLife:
    """Runs something once per worker process: huey calls its hooks in each worker thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = False
        self.stop = threading.Event()

    def begins(self) -> bool:
        with self._lock:
            first, self._begun = not self._begun, True
        return first


_life = _ProcessLife()


@on_startup()
def start_heartbeat_and_warming() -> None:
    """Once per worker process, whichever of its threads is first."""
    if not _life.begins():
        return
    threading.Thread(
        target=keep_beating, args=(_life.stop,), name="worker-heartbeat", daemon=True
    ).start()
    warm_enabled_prompts()


@on_shutdown()
def stop_heartbeat() -> None:
    """Beat no more: the worker is going."""
    _life.stop.set()


@db_task()
def warm_enabled_prompts() -> None:
    """Warm every enabled prompt; runs again for as long as the engine is not up."""
    for prompt in WarmPrompt.objects.enabled().select_related("model"):
        try:
            warm_saved(prompt=prompt)
        except EngineUnavailable as error:
            raise RetryTask(error.message, delay=ENGINE_RETRY_DELAY) from error
        except EngineError as error:
            # The prompt's own fault; its row says so, and the others have their turn.
            logger.warning("The prompt %s could not be warmed: %s", prompt, error.message)


@db_periodic_task(crontab(minute="*"), expires=60)
def sync_prompt_cache() -> None:
    """Keep the admin's mirror of the prompt cache young."""
    try:
        sync_cache_entries()
    except EngineUnavailable:
        logger.info("The prompt cache was not read: the engine is not up.")
