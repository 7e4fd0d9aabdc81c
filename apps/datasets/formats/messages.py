"""Conversations of several conventions to one: ``role``, ``content`` and ``tool_calls``."""

from __future__ import annotations

from typing import Any

import orjson

_ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
"""ShareGPT's senders and others, as chat templates call them."""

_CARRIED = ("name", "tool_call_id", "reasoning_content", "reasoning", "thinking")


def conversation(value: Any) -> list[Any]:
    """The messages of a row. What is no message stays, for the checks to tell."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, list):
        return []
    return [_message(item) if isinstance(item, dict) else item for item in value]


def read_tools(value: Any) -> list[Any]:
    """Tool definitions, also from a JSON text; OpenAI's older ``functions`` as tools."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, list):
        return []
    return [
        {"type": "function", "function": item}
        if isinstance(item, dict) and "function" not in item and "name" in item
        else item
        for item in value
    ]


def last_answer(messages: list[Any]) -> str:
    """What the last message says."""
    last = messages[-1] if messages else None
    content = _message(last).get("content") if isinstance(last, dict) else last
    return content if isinstance(content, str) else ""


def _message(item: dict[str, Any]) -> dict[str, Any]:
    said = item.get("role", item.get("from"))
    content = item.get("content", item.get("value", item.get("text")))
    message: dict[str, Any] = {
        "role": _ROLES.get(said.lower(), said) if isinstance(said, str) else said,
        "content": _flat(content),
    }
    if calls := item.get("tool_calls"):
        message["tool_calls"] = _calls(calls)
        message["content"] = message["content"] or ""
    for name in _CARRIED:
        if item.get(name) is not None:
            message[name] = item[name]
    return message


def _flat(content: Any) -> Any:
    """OpenAI's content parts as one text, where all of them are texts."""
    if isinstance(content, list) and content:
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        texts = [text for text in parts if isinstance(text, str)]
        if len(texts) == len(parts):
            return "\n".join(texts)
    return content


def _calls(calls: Any) -> Any:
    """Tool calls with their arguments as objects.

    OpenAI writes them as a JSON text, and most chat templates would write that text as
    JSON once more.
    """
    if not isinstance(calls, list):
        return calls
    return [_call(call) if isinstance(call, dict) else call for call in calls]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    arguments = _parsed(function["arguments"])
    if not isinstance(arguments, dict):
        return call
    return call | {"function": function | {"arguments": arguments}}


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
