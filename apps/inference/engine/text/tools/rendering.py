"""Conversations with tools as chat templates take them: Hugging Face's conventions.

https://huggingface.co/docs/transformers/chat_extras
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from apps.inference.engine.protocol import Message, Tool, ToolCall

Turn = dict[str, Any]

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


def function_of(tool: Tool) -> dict[str, Any]:
    """A tool as OpenAI writes it, which is how templates take it."""
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": json.loads(tool.parameters),
        },
    }


def turns_of(messages: Sequence[Message], *, short_ids: bool = False) -> list[Turn]:
    """Messages as template variables; members that ask for nothing are left out."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_turn(message, names, short_ids) for message in messages]


def _turn(message: Message, names: dict[str, str], short_ids: bool) -> Turn:
    # Templates know no developer role; OpenAI defines it as the system's successor.
    role = "system" if message.role == "developer" else message.role
    turn: Turn = {"role": role, "content": message.content}
    if message.reasoning:
        turn["reasoning_content"] = message.reasoning
        if message.tool_calls and not message.content:
            turn["thinking"] = message.reasoning  # its name in gpt-oss' template
    if message.tool_calls:
        turn["tool_calls"] = [_call(call, short_ids) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = _id(message.tool_call_id, short_ids)
    if role == "tool":
        turn["name"] = message.name or names.get(message.tool_call_id or "", "")
    return turn


def _call(call: ToolCall, short_ids: bool) -> Turn:
    function = {"name": call.name, "arguments": arguments_of(call)}
    return {"type": "function", "id": _id(call.id, short_ids), "function": function}


def arguments_of(call: ToolCall) -> Any:
    """An object, as templates expect; the text itself where a model wrote no valid one."""
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return call.arguments
    return given if isinstance(given, dict) else call.arguments


def _id(given: str, short: bool) -> str:
    """Mistral's templates refuse ids of any other form; calls and results still match."""
    if not short or _SHORT_ID.fullmatch(given):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:9]
