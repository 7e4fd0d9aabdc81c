"""What can go wrong in the engine.

EngineFault
├── InvalidRequest
├── ContextLengthExceeded
├── ChatTemplateFailed
├── LoadFailed
├── InsufficientMemory
├── ModelNotLoaded
├── ModelBusy
├── AdapterFailed
├── DeadlineExceeded
├── EntryNotFound
├── QueueFull
└── ShuttingDown

Each becomes one Failed event with its ``code``; anything else that escapes is
a defect, is logged with its traceback and becomes ``internal_error``.
"""

from __future__ import annotations

from typing import ClassVar

from apps.inference.engine.protocol import ErrorCode, Failed

_DEFECT = "The engine failed while it answered; see logs/engine.log. Other requests go on."


class EngineFault(Exception):
    """A call that can't be served; the message says why and what to do."""

    code: ClassVar[ErrorCode] = "internal_error"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def event(self) -> Failed:
        return Failed(code=self.code, message=str(self), retry_after=self.retry_after)


def defect() -> Failed:
    """What a caller is told of a failure that is the engine's own; the log has the rest."""
    return Failed(code="internal_error", message=_DEFECT)


class InvalidRequest(EngineFault):
    code = "invalid_request"


class ContextLengthExceeded(EngineFault):
    code = "context_length_exceeded"


class ChatTemplateFailed(EngineFault):
    """The model's chat template refused the conversation."""

    code = "chat_template_error"


class LoadFailed(EngineFault):
    code = "model_load_failed"


class InsufficientMemory(EngineFault):
    code = "insufficient_memory"


class ModelNotLoaded(EngineFault):
    code = "model_not_loaded"


class ModelBusy(EngineFault):
    code = "model_busy"


class AdapterFailed(EngineFault):
    """An adapter's folder can't be read, or does not fit the model."""

    code = "adapter_failed"


class DeadlineExceeded(EngineFault):
    code = "deadline_exceeded"


class EntryNotFound(EngineFault):
    code = "cache_entry_not_found"


class QueueFull(EngineFault):
    code = "queue_full"


class ShuttingDown(EngineFault):
    code = "shutting_down"
