"""Pairs of answers as tokens: one prompt, a chosen answer and a rejected one.

A row has ``chosen`` and ``rejected``, and a ``prompt`` before both: a text, or messages. The
answers are texts, or messages; where they are whole conversations and there is no prompt,
what both begin with is the prompt. mlx-lm knows no such rows.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

Message = dict[str, Any]


def is_pair(record: dict[str, Any]) -> bool:
    """Whether a row is meant to be one."""
    return "chosen" in record and "rejected" in record


def tokens_of_pair(record: dict[str, Any], tokenizer: Any) -> list[tuple[list[int], int]]:
    """The tokens of the chosen and the rejected answer behind their prompt, and where each begins.

    Raises ValueError, KeyError, TypeError or jinja2's TemplateError where the row is no such
    pair, or the chat template does not take it.
    """
    prompt, chosen, rejected = _parts(record)
    if isinstance(prompt, str) and (not prompt or not tokenizer.chat_template):
        return [_of_text(prompt, _text(answer), tokenizer) for answer in (chosen, rejected)]
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    tools = record.get("tools")
    return [
        _of_messages(messages, _messages(answer), tools, tokenizer) for answer in (chosen, rejected)
    ]


def _parts(record: dict[str, Any]) -> tuple[Any, Any, Any]:
    prompt = record.get("prompt") or ""
    chosen, rejected = record["chosen"], record["rejected"]
    if not prompt and isinstance(chosen, list) and isinstance(rejected, list):
        both = list(takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
        same = len(both)
        prompt, chosen, rejected = chosen[:same], chosen[same:], rejected[same:]
    if not chosen or not rejected:
        raise ValueError("chosen and rejected should both be an answer, and not the same one")
    return prompt, chosen, rejected


def _of_text(prompt: str, answer: str, tokenizer: Any) -> tuple[list[int], int]:
    tokens = tokenizer.encode(prompt + answer)
    if tokens[-1] != tokenizer.eos_token_id:
        tokens = [*tokens, tokenizer.eos_token_id]
    return tokens, _common(tokenizer.encode(prompt) if prompt else [], tokens)


def _of_messages(
    prompt: list[Message], answer: list[Message], tools: Any, tokenizer: Any
) -> tuple[list[int], int]:
    whole: list[int] = tokenizer.apply_chat_template(
        [*prompt, *answer], tools=tools, return_dict=False
    )
    asked: list[int] = tokenizer.apply_chat_template(
        prompt, tools=tools, add_generation_prompt=True, return_dict=False
    )
    return whole, _common(asked, whole)


def _common(prompt: list[int], whole: list[int]) -> int:
    """Tokens of the prompt that the whole begins with.

    Fewer than the prompt has where a template puts a mark before an answer that is yet to
    come (an opened thought), or a token spans the border: the answer begins where they part.
    """
    same = zip(prompt, whole, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], same)))


def _messages(answer: Any) -> list[Message]:
    if isinstance(answer, str):
        return [{"role": "assistant", "content": answer}]
    if isinstance(answer, dict):
        return [answer]
    if isinstance(answer, list) and all(isinstance(each, dict) for each in answer):
        return answer
    raise TypeError("an answer should be a text or messages")


def _text(answer: Any) -> str:
    """Raises TypeError where it is none."""
    if isinstance(answer, str):
        return answer
    *_, last = _messages(answer)
    content = last["content"]
    if not isinstance(content, str):
        raise TypeError("an answer's content should be a text")
    return content
