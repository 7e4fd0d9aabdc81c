"""Tools in the prompt of a model whose chat template knows none.

The definitions and the calling convention go into the system message, in the form that
most models have seen (Hermes); earlier calls are written as the model is asked to write
them, and results come back as user turns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.tools.rendering import Turn, function_of

_INSTRUCTIONS = """\
You can call functions. These are their signatures, one JSON object per line:

{functions}

To call a function, answer with its name and arguments in this form:

<tool_call>
{{"name": "function_name", "arguments": {{"argument": "value"}}}}
</tool_call>

The results come in <tool_response> tags. Call a function only where it helps; otherwise \
answer in your own words."""


def with_tools(turns: Sequence[Turn], tools: Sequence[Tool]) -> list[Turn]:
    """A conversation with tools as one without."""
    plain: list[Turn] = []
    for turn, previous in zip(turns, [None, *turns], strict=False):
        written = _plain(turn)
        if previous is not None and turn["role"] == previous["role"] == "tool":
            plain[-1]["content"] += f"\n{written['content']}"
        else:
            plain.append(written)
    return _introduced(plain, tools) if tools else plain


def _introduced(turns: list[Turn], tools: Sequence[Tool]) -> list[Turn]:
    functions = "\n".join(
        json.dumps(function_of(tool)["function"], ensure_ascii=False) for tool in tools
    )
    text = _INSTRUCTIONS.format(functions=functions)
    if turns and turns[0]["role"] == "system":
        first, *rest = turns
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *rest]
    return [{"role": "system", "content": text}, *turns]


def _plain(turn: Turn) -> Turn:
    if turn["role"] == "tool":
        text = f"<tool_response>\n{turn['content']}\n</tool_response>"
        return {"role": "user", "content": text}
    if "tool_calls" in turn:
        written = [turn["content"]] if turn["content"] else []
        written += [_written(call["function"]) for call in turn["tool_calls"]]
        return {"role": turn["role"], "content": "\n".join(written)}
    return {"role": turn["role"], "content": turn["content"]}


def _written(function: Turn) -> str:
    return f"<tool_call>\n{json.dumps(function, ensure_ascii=False)}\n</tool_call>"
