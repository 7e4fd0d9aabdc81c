"""Models into memory and out of it, on somebody's word, which the audit log keeps.

Whoever asks, page, call or command, does it here. What the engine loads by itself for a
request, or drops for room or idleness, is nobody's action and is not recorded.
"""

from __future__ import annotations

from asgiref.sync import sync_to_async

from apps.audit.models import AuditEntry
from apps.audit.recording import record
from apps.inference.client import EngineError
from apps.inference.engine.protocol import LoadModel, ModelReady, Ok, UnloadModel
from apps.inference.loads import Load, model_loads
from apps.inference.services import async_engine, attentive_engine, engine, spec_for
from apps.models.models import LocalModel

LOAD = "model.load"
CANCEL = "model.load-cancel"
UNLOAD = "model.unload"


def begin_load(*, model: LocalModel, wait: float) -> Load:
    """Load it in the background; waits up to ``wait`` seconds, so that what fails at once is told.

    It goes on in this process, whatever becomes of the page that asked.
    """
    load = model_loads.start(spec_for(model), engine())
    load.ended.wait(wait)
    _note(LOAD, model, load.error)
    return load


def cancel_load(*, model: LocalModel) -> None:
    """Give up a load that was begun here."""
    model_loads.cancel(model.digest)
    _note(CANCEL, model)


async def load_now(*, model: LocalModel) -> ModelReady:
    """Load it, and answer when it is there; to be cancelled ends the load. Raises EngineError."""
    try:
        ready = await async_engine().call(LoadModel(model=spec_for(model)), ModelReady)
    except EngineError as error:
        await sync_to_async(_note)(LOAD, model, error)
        raise
    await sync_to_async(_note)(LOAD, model)
    return ready


def unload(*, model: LocalModel) -> None:
    """Free its memory. Raises EngineError, also where it is not loaded or answers somebody."""
    try:
        attentive_engine().call(UnloadModel(digest=model.digest), Ok)
    except EngineError as error:
        _note(UNLOAD, model, error)
        raise
    model_loads.forget(model.digest)
    _note(UNLOAD, model)


def _note(action: str, model: LocalModel, error: EngineError | None = None) -> None:
    if error is None:
        record(action, model)
    else:
        record(action, model, outcome=AuditEntry.Outcome.FAILED, why=error.message)
