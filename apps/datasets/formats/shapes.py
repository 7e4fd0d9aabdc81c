"""Rows as other programs want them.

- ``jsonl``: as mlx-lm's trainer reads them, which is how they are kept;
- ``openai``: OpenAI's fine-tuning files
  (https://platform.openai.com/docs/guides/supervised-fine-tuning, and /direct-preference-optimization);
- ``sharegpt``: ``conversations`` of ``from`` and ``value``, tools and pairs as LLaMA-Factory documents them
  (https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md).

What is learnt stays the same; the fields that are kept beside it stay, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import orjson

from apps.datasets.formats.store.index import SPLITS
from apps.datasets.formats.store.reading import RowFiles

Shape = Literal["jsonl", "openai", "sharegpt"]
Row = dict[str, Any]

_LEARNT = ("messages", "tools", "prompt", "completion", "chosen", "rejected", "text")
_SENDERS = {"user": "human", "assistant": "gpt", "tool": "observation"}
_OPTIONS = orjson.OPT_NON_STR_KEYS
_LINES_AT_ONCE = 200


def takes(shape: Shape, kind: str) -> bool:
    """Whether rows of this kind can have the shape; a plain text is no conversation."""
    return shape == "jsonl" or kind in ("chat", "completion", "preference")


def shaped(row: Row, shape: Shape) -> Row:
    """One row in another shape."""
    kept = {name: value for name, value in row.items() if name not in _LEARNT}
    return _MAKERS[shape](row) | kept if shape != "jsonl" else row


def lines_of(files: RowFiles, split: str, shape: Shape) -> Iterator[bytes]:
    """The rows of a split as JSON Lines, some hundred at a time."""
    numbers = _numbers_of(files, split)
    with files.lines() as line_of:
        for start in range(numbers.start, numbers.stop, _LINES_AT_ONCE):
            lines = (line_of(n) for n in range(start, min(start + _LINES_AT_ONCE, numbers.stop)))
            if shape != "jsonl":
                lines = (_line(shaped(orjson.loads(line), shape)) for line in lines)
            yield b"".join(line + b"\n" for line in lines)


def rows_of(files: RowFiles, split: str) -> Iterator[Row]:
    """The rows of a split."""
    with files.lines() as line_of:
        for number in _numbers_of(files, split):
            yield orjson.loads(line_of(number))


def _numbers_of(files: RowFiles, split: str) -> range:
    """Rows lie in the order of the splits."""
    splits = files.index().get_column("split").to_numpy()
    wanted = SPLITS.index(split)
    return range(int((splits < wanted).sum()), int((splits <= wanted).sum()))


def _line(row: Row) -> bytes:
    return orjson.dumps(row, option=_OPTIONS)


def _openai(row: Row) -> Row:
    if "chosen" in row:
        return {
            "input": {"messages": _prompt_of(row)},
            "preferred_output": [_answer(row["chosen"])],
            "non_preferred_output": [_answer(row["rejected"])],
        }
    return {"messages": [_openai_message(each) for each in _messages_of(row)]} | _tools_of(row)


def _openai_message(message: Row) -> Row:
    """With the arguments of tool calls as a JSON text, as OpenAI writes them."""
    if not isinstance(message, dict) or not message.get("tool_calls"):
        return message
    return message | {"tool_calls": [_call(call) for call in message["tool_calls"]]}


def _call(call: Row) -> Row:
    function = call["function"]
    arguments = function.get("arguments", {})
    text = arguments if isinstance(arguments, str) else _line(arguments).decode()
    return call | {"function": function | {"arguments": text}}


def _sharegpt(row: Row) -> Row:
    if "chosen" in row:
        turns = [turn for each in _prompt_of(row) for turn in _turns(each)]
        answers = {name: {"from": "gpt", "value": row[name]} for name in ("chosen", "rejected")}
        return {"conversations": turns, **answers}
    turns = [turn for each in _messages_of(row) for turn in _turns(each)]
    tools = _tools_of(row)
    return {"conversations": turns} | ({"tools": _line(tools["tools"]).decode()} if tools else {})


def _turns(message: Row) -> Iterator[Row]:
    """One turn; a message that says something and calls a tool is two."""
    content = message.get("content") or ""
    calls = message.get("tool_calls") or []
    if content or not calls:
        role = str(message.get("role"))
        yield {"from": _SENDERS.get(role, role), "value": content}
    for call in calls:
        function = {name: call["function"].get(name) for name in ("name", "arguments")}
        yield {"from": "function_call", "value": _line(function).decode()}


def _messages_of(row: Row) -> list[Row]:
    if "messages" in row:
        messages: list[Row] = row["messages"]
        return messages
    return [*_prompt_of(row), _answer(row["completion"])]


def _prompt_of(row: Row) -> list[Row]:
    """A prompt as messages, which it may be already."""
    prompt = row["prompt"]
    return prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]


def _answer(text: str) -> Row:
    return {"role": "assistant", "content": text}


def _tools_of(row: Row) -> Row:
    return {"tools": row["tools"]} if row.get("tools") else {}


_MAKERS: dict[Shape, Callable[[Row], Row]] = {"openai": _openai, "sharegpt": _sharegpt}
