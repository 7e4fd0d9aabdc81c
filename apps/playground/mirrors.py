"""Answers that another process is writing, followed through what that one stores.

While one web process takes over from another, the old one finishes what it began. Its
answers are stored twice a second; a follower here sees them at that pace.
"""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, connection

from apps.playground.models import Message
from apps.playground.transcript import Transcript

logger = logging.getLogger(__name__)

LOOK_INTERVAL = 0.25
"""Seconds between two looks at what is stored."""

_lock = threading.Lock()
_mirrors: dict[int, Transcript] = {}


def mirror(message_id: int) -> Transcript:
    """The text of the answer as it is stored, for as long as it is marked as running."""
    with _lock:
        known = _mirrors.get(message_id)
        if known is None:
            known = _mirrors[message_id] = Transcript()
            name = f"mirror-{message_id}"
            threading.Thread(target=_reflect, args=(message_id,), name=name, daemon=True).start()
        return known


def _reflect(message_id: int) -> None:
    transcript = _mirrors[message_id]
    pause = threading.Event()
    try:
        while _copied(message_id, transcript):
            pause.wait(LOOK_INTERVAL)
    except DatabaseError:
        # The page asks again when it is told that this is over.
        logger.exception("Answer %s could not be read", message_id)
    finally:
        connection.close()
        with _lock:
            del _mirrors[message_id]
        transcript.settle()


def _copied(message_id: int, transcript: Transcript) -> bool:
    """Take over what is new; whether there may be more."""
    row = Message.objects.filter(pk=message_id).values_list("content", "state").first()
    if row is None:
        return False
    content, state = row
    if more := content[len(transcript.text) :]:
        transcript.append(more)
    return bool(state == Message.State.RUNNING)
