"""The ASGI application that uvicorn serves."""

import logging
import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")

# WhiteNoise answers with files, which are read synchronously. They are small and
# local; the hub's own streams are asynchronous, and tested to be.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")

django_application = get_asgi_application()

# Apps can be imported only now that Django is set up.
from django.conf import settings  # noqa: E402
from django.core.signals import request_started  # noqa: E402
from django.db import DatabaseError  # noqa: E402

from apps.inference.api.bodies import Bodies  # noqa: E402
from apps.inference.api.door import Door  # noqa: E402
from apps.inference.api.lifetime import RequestLifetimes  # noqa: E402
from apps.playground.models import Message  # noqa: E402
from apps.playground.services import interrupt_orphans, is_written_elsewhere  # noqa: E402
from apps.system.health.beating import start_beating  # noqa: E402

HUB = settings.HUB

MULTIPART_BYTES = 64 * 1024
"""What a form adds to its files: Django counts without."""
application = Bodies(
    Door(RequestLifetimes(django_application), places=HUB.max_batch + HUB.max_queue),
    most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE + MULTIPART_BYTES,
)

logger = logging.getLogger(__name__)


def settle_answers(**signal: object) -> None:
    """Mark the answers that died with the last web process, before the first page is made.

    Here, because answers live in the web process and in no other. With the first
    request, because a server imports this module inside its event loop, where the
    database can't be used; `mlx-hub up` sends one as soon as the server listens.

    A process whose hub was killed lives for some seconds more. While it writes, each request
    looks again: it may end without another word.
    """
    running = Message.objects.running()
    try:
        interrupt_orphans(among=running)
    except DatabaseError:
        logger.exception("The answers cut short were not marked; the next request tries again.")
    else:
        if not any(is_written_elsewhere(answer) for answer in running):
            request_started.disconnect(settle_answers)


request_started.connect(settle_answers)


def begin_to_beat(**signal: object) -> None:
    """Show that this process lives from its first request on, as the worker does."""
    request_started.disconnect(begin_to_beat)
    start_beating("web")


if HUB.process_name == "web":  # and no test that serves in its own process
    request_started.connect(begin_to_beat)
