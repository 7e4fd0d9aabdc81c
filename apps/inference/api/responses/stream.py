"""The Responses API's event stream.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import sync_to_async

from apps.inference.api import sse
from apps.inference.api.answer_parts import Answer, Called, Part, Said
from apps.inference.api.errors import Problem
from apps.inference.api.responses import store
from apps.inference.api.responses.answer import (
    begun,
    broken_off,
    ended,
    item_of,
    kept_input,
    logprobs_of,
)
from apps.inference.api.responses.response import ItemStatus, ResponseObject
from apps.inference.api.responses.translation import ResponseCall
from apps.inference.engine.protocol import (
    Delta,
    Event,
    Prefill,
    Prompt,
    Reasoning,
    ToolCallArguments,
)


class ResponseTeller:
    """One response as it is made: see ``telling.Teller``."""

    def __init__(self, call: ResponseCall) -> None:
        self._call = call
        self._answer = Answer()
        self._open: Part | None = None
        """The part whose item was added and is not done."""
        self._sequence = 0

    def heard(self, index: int, event: Event) -> list[bytes]:
        self._answer.hear(event)
        match event:
            case Prompt():
                response = begun(self._call)
                return [
                    self._about("response.created", response),
                    self._about("response.in_progress", response),
                ]
            case Prefill():
                return [sse.comment(f"prefill {event.done}/{event.total}")]
        return self._turned() + self._delta(event)

    def silence(self) -> list[bytes]:
        return [sse.comment("waiting")]

    async def over(self) -> list[bytes]:
        response = ended(self._call, self._answer)
        last_status: ItemStatus = "completed" if response.status == "completed" else "incomplete"
        lines = self._close(len(self._answer.parts) - 1, last_status)
        if self._call.payload.keeps:
            await keep(self._call, response)
        return [*lines, self._about(f"response.{response.status}", response)]

    def failed(self, problem: Problem) -> list[bytes]:
        if self._answer.prompt is None:
            error = problem.body.error
            return [self._sent("error", code=error.code, message=error.message, param=error.param)]
        response = broken_off(self._call, self._answer, problem)
        return [self._about("response.failed", response)]

    # --- items --------------------------------------------------------------

    def _turned(self) -> list[bytes]:
        """The end of an item and the start of the next, where a new part has begun."""
        part, place = self._answer.last, len(self._answer.parts) - 1
        if part is None or part is self._open:
            return []
        lines = self._close(place - 1, "completed")
        self._open = part
        return lines + self._start(place, part)

    def _start(self, place: int, part: Part) -> list[bytes]:
        item = self._item(place, _emptied(part), "in_progress")
        body = None if isinstance(part, Called) else item["content"][0]
        if body is not None:
            item["content"] = []
        lines = [self._sent("response.output_item.added", output_index=place, item=item)]
        if body is not None:
            where = self._where(place, item["id"]) | {"content_index": 0}
            lines.append(self._sent("response.content_part.added", **where, part=body))
        return lines

    def _close(self, place: int, status: ItemStatus) -> list[bytes]:
        part, self._open = self._open, None
        if part is None:
            return []
        item = self._item(place, part, status)
        where = self._where(place, item["id"])
        if isinstance(part, Called):
            kind = "response.function_call_arguments.done"
            lines = [self._sent(kind, **where, name=part.name, arguments=part.text)]
        else:
            body = item["content"][0]
            where["content_index"] = 0
            kind = f"response.{body['type']}.done"
            logprobs = {"logprobs": body["logprobs"]} if isinstance(part, Said) else {}
            lines = [
                self._sent(kind, **where, text=part.text, **logprobs),
                self._sent("response.content_part.done", **where, part=body),
            ]
        return [*lines, self._sent("response.output_item.done", output_index=place, item=item)]

    def _delta(self, event: Event) -> list[bytes]:
        place, part = len(self._answer.parts) - 1, self._answer.last
        if part is None:
            return []
        where = self._where(place, self._item(place, _emptied(part), "in_progress")["id"])
        more: dict[str, Any] = {}
        match event:
            case Reasoning() if event.text:
                kind, more["content_index"] = "response.reasoning_text.delta", 0
            case Delta() if event.text or event.logprobs:
                logprobs = [each.model_dump() for each in logprobs_of(list(event.logprobs))]
                kind = "response.output_text.delta"
                more = {"content_index": 0, "logprobs": logprobs}
            case ToolCallArguments() if event.text:
                kind = "response.function_call_arguments.delta"
            case _:
                return []
        return [self._sent(kind, **where, delta=event.text, **more)]

    # --- lines --------------------------------------------------------------

    def _item(self, place: int, part: Part, status: ItemStatus) -> dict[str, Any]:
        return item_of(self._call, place, part, status).model_dump()

    @staticmethod
    def _where(place: int, item_id: str) -> dict[str, Any]:
        return {"output_index": place, "item_id": item_id}

    def _about(self, kind: str, response: ResponseObject) -> bytes:
        return self._sent(kind, response=response.model_dump())

    def _sent(self, kind: str, **fields: Any) -> bytes:
        body = {"type": kind, "sequence_number": self._sequence} | fields
        self._sequence += 1
        return sse.event(kind, json.dumps(body, ensure_ascii=False, separators=(",", ":")))


async def keep(call: ResponseCall, response: ResponseObject) -> None:
    """Keep a finished response, so that others can go on from it."""
    await sync_to_async(store.keep)(body=response.model_dump(), items=kept_input(call))


def _emptied(part: Part) -> Part:
    return Called(part.id, part.name) if isinstance(part, Called) else type(part)()
