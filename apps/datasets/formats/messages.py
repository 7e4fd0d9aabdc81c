"""Conversations of several conventions to one: ``role``, ``content`` and ``tool_calls``."""

from __future__ import annotations

import re
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

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
"""Turns of Anthropic's transcripts; a text without them is no transcript."""

_CARRIED = ("name", "tool_call_id", "reasoning_content", "reasoning", "thinking")


def listed(value: Any) -> list[Any]:
    """A list, also from a JSON text, as tables have it; empty where it is none."""
    if isinstance(value, str):
        value = _parsed(value)
    return value if isinstance(value, list) else []


def conversation(value: Any) -> list[Any]:
    """The messages of a row. What is no message stays, for the checks to tell."""
    return [_message(item) if isinstance(item, dict) else item for item in listed(value)]


def read_tools(value: Any) -> list[Any]:
    """Tool definitions, also from a JSON text; OpenAI's older ``functions`` as tools."""
    return [
        {"type": "function", "function": item}
        if isinstance(item, dict) and "function" not in item and "name" in item
        else item
        for item in listed(value)
    ]


def transcript(text: str) -> list[dict[str, Any]]:
    """The messages of a transcript as "\\n\\nHuman: Hi\\n\\nAssistant: Hello"; none of another text."""
    before, *turns = _SPEAKER.split(text)
    if before.strip() or not turns:
        return []
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[speaker], "content": said.strip()}
        for speaker, said in zip(turns[::2], turns[1::2], strict=True)
    ]


def last_answer(messages: list[Any]) -> str:
    """What the last message says."""
    last = messages[-1] if messages else None
    content = _message(last).get("content") if isinstance(last, dict) else last
    return content if isinstance(content, str) else ""


def _message(item: dict[str, Any]) -> dict[str, Any]:
    said = item.get("role", item.get("from"))
    content = item.get("content", item.get("value", item.get("text")))
    if said == "function_call":  # ShareGPT's own turn for a call, as LLaMA-Factory has it
        return {"role": "assistant", "content": "", "tool_calls": _calls(_called(content))}
    message: dict[str, Any] = {
        "role": _ROLES.get(said.lower(), said) if isinstance(said, str) else said,
        "content": _flat(content),
    }
    if calls := item.get("tool_calls") or _called(item.get("function_call")):
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


def _called(value: Any) -> list[Any]:
    """Calls that are written as their functions alone, also as a JSON text."""
    if isinstance(value, str):
        value = _parsed(value) or value
    functions = value if isinstance(value, list) else [value] if value else []
    return [{"type": "function", "function": function} for function in functions]


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
