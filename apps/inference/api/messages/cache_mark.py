"""Where a request says that its prompt will be asked again: the last ``cache_control``.

The hub caches every prompt by itself; a mark tells it where to expect the next request
to part from this one, and the usage which tokens are to be called written to the cache.
Marks before the last one lie on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apps.inference.api.messages.content import CacheControl
from apps.inference.api.messages.request import TokenCountRequest
from apps.inference.engine.protocol import CacheMark, Message

Translate = Callable[[TokenCountRequest], Sequence[Message]]


def cache_mark(
    payload: TokenCountRequest, translate: Translate
) -> tuple[CacheMark | None, CacheControl | None]:
    """The last mark and what it says. ``translate`` makes a request's messages."""
    whole = translate(payload)
    if payload.cache_control is not None:
        return CacheMark(messages=len(whole)), payload.cache_control
    for index in reversed(range(len(payload.messages))):
        param = payload.messages[index]
        end, control = _last(param.content)
        if control is not None:
            cut = param.model_copy(update={"content": param.content[:end]})
            messages = [*payload.messages[:index], cut]
            part = translate(payload.model_copy(update={"messages": messages}))
            return _end_of(part, whole), control
    end, control = _last(payload.system)
    if control is not None:
        cut_system = {"system": payload.system[:end], "messages": []}
        return _end_of(translate(payload.model_copy(update=cut_system)), whole), control
    _, control = _last(payload.tools)
    # Where tools stand in a prompt is the template's choice: what does not depend on the
    # first message is before the mark.
    return (None if control is None else CacheMark(messages=1, characters=0)), control


def _last(blocks: Sequence[Any]) -> tuple[int, CacheControl | None]:
    """The last block with a mark: how many blocks end with it, and what the mark says."""
    for end in range(len(blocks), 0, -1):
        control: CacheControl | None = getattr(blocks[end - 1], "cache_control", None)
        if control is not None:
            return end, control
    return 0, None


def _end_of(part: Sequence[Message], whole: Sequence[Message]) -> CacheMark | None:
    if not part:
        return None
    last = part[-1]
    same = last == whole[len(part) - 1]
    return CacheMark(messages=len(part), characters=None if same else len(last.content))
