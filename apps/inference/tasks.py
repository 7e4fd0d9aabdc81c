"""What the worker does for inference, by itself."""

from __future__ import annotations

import logging
import threading

from django.db import connection, transaction
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup
from huey.exceptions import RetryTask

from apps.inference.benchmarks import tasks as benchmarks  # noqa: F401 - for huey to know them
from apps.inference.client import EngineError, EngineUnavailable
from apps.inference.heartbeat import keep_beating
from apps.inference.models import WarmPrompt, WarmPromptQuerySet
from apps.inference.services import sync_cache_entries
from apps.inference.warming import warm_after_loads, warm_prompt
from apps.jobs.tasks import once_a_process, worker_stops

logger = logging.getLogger(__name__)

ENGINE_RETRY_DELAY = 5
"""Seconds until an engine that is not up is tried again."""

LOADS_INTERVAL = 5.0
"""Seconds between two looks at what the engine has loaded."""


@on_startup()
@once_a_process
def start_heartbeat_and_warming() -> None:
    """What goes on beside the tasks until the worker is told to end."""
    for work in (keep_beating, keep_warming_after_loads):
        threading.Thread(target=work, args=(worker_stops,), name=work.__name__, daemon=True).start()
    warm_at_start()


def warm_at_start() -> None:
    """Have every enabled prompt warmed, and those that a worker that died left half done."""
    unfinished = WarmPrompt.objects.in_progress()
    queue_warming(prompts=WarmPrompt.objects.enabled() | unfinished)


def queue_warming(*, prompts: WarmPromptQuerySet) -> int:
    """Have the worker warm these prompts; how many. Their rows say how far they are."""
    asked = prompts.ask_for_warming()
    if asked:
        transaction.on_commit(warm_waiting_prompts)
    return asked


@db_task()
def warm_waiting_prompts() -> None:
    """Warm the prompts that wait for it; runs again for as long as the engine is not up."""
    for prompt in WarmPrompt.objects.waiting().select_related("model", "adapter__base"):
        if not prompt.take():
            continue  # another worker was faster
        try:
            warm_prompt(prompt=prompt)
        except EngineUnavailable as error:
            prompt.put_back()
            raise RetryTask(error.message, delay=ENGINE_RETRY_DELAY) from error
        except EngineError as error:
            # The prompt's own fault; its row says so, and the others have their turn.
            logger.warning("The prompt %s could not be warmed: %s", prompt, error.message)


def keep_warming_after_loads(stop: threading.Event) -> None:
    """Warm what a newly loaded model's prompts say, until ``stop`` is set.

    Whoever loads a model, in whichever process: what the engine says is loaded is
    all that is looked at.
    """
    while True:
        try:
            warm_after_loads()
        except EngineUnavailable:
            logger.debug("The loaded models were not looked at: the engine is not up.")
        except Exception:  # the watch over loads must go on whatever one look met
            logger.exception("The prompts of a loaded model could not be warmed.")
        finally:
            connection.close()
        if stop.wait(LOADS_INTERVAL):
            return


@db_periodic_task(crontab(minute="*"), expires=60)
def sync_prompt_cache() -> None:
    """Keep the admin's mirror of the prompt cache young."""
    try:
        sync_cache_entries()
    except EngineUnavailable:
        logger.info("The prompt cache was not read: the engine is not up.")
