"""What a call that leaves it out gets: the model's own defaults, then its authors'.

The dialects say what a request said and nothing else; ``Sampling`` remembers which of
its fields were set, so one function can fill in the rest for all of them.
"""

from __future__ import annotations

from collections.abc import Collection

from apps.inference.engine.protocol import Generate, Message, Sampling
from apps.models.models import LocalModel


def with_defaults(request: Generate, model: LocalModel) -> Generate:
    """The request, with the model's sampling and system prompt where it has none of its own."""
    sampling = request.sampling
    said = {name for name in sampling.model_fields_set if getattr(sampling, name) is not None}
    filled = {"sampling": completed(sampling, model, said=said)}
    return request.model_copy(update=filled | _begun(request, model))


def completed(sampling: Sampling, model: LocalModel, *, said: Collection[str]) -> Sampling:
    """``sampling``, with the model's defaults for all but the fields in ``said``."""
    rest = {name: value for name, value in model.sampling.items() if name not in said}
    return sampling.model_copy(update=rest)


def _begun(request: Generate, model: LocalModel) -> dict[str, tuple[Message, ...]]:
    has_one = any(message.role in ("system", "developer") for message in request.messages)
    if not model.system_prompt.strip() or not request.messages or has_one:
        return {}
    system = Message(role="system", content=model.system_prompt)
    return {"messages": (system, *request.messages)}
