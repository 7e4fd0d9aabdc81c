"""Conversations to prompt tokens, and where the system prompt ends in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from apps.inference.engine.errors import ChatTemplateFailed
from apps.inference.engine.protocol import Message
from apps.inference.engine.tokens import Tokens, agreement

PREVIEW_CHARACTERS = 120
_REMEMBERED_SYSTEM_PROMPTS = 64

# For base models, which come without a chat template.
_PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@dataclass(frozen=True)
class ChatPrompt:
    tokens: Tokens
    system_tokens: int
    """Length of the prefix that any conversation with this system prompt begins with."""
    system_preview: str
    preview: str


class ChatFormatter:
    """A model's chat template and tokenizer as one function of a conversation."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._system_prefixes: OrderedDict[str, Tokens] = OrderedDict()

    def prompt(self, messages: Sequence[Message]) -> ChatPrompt:
        """Raises ChatTemplateFailed where the template refuses the conversation."""
        turns = [_turn(message) for message in messages]
        tokens = self._tokens(turns)
        system = turns[0]["content"] if turns[0]["role"] == "system" else ""
        asked = next((turn["content"] for turn in turns if turn["role"] == "user"), system)
        prefix = self.system_prefix(system) if system else ()
        return ChatPrompt(
            tokens=tokens,
            # A template may place the system prompt late, or drop it after some
            # turns: only what this very prompt begins with counts.
            system_tokens=agreement(prefix, tokens),
            system_preview=system[:PREVIEW_CHARACTERS],
            preview=asked[:PREVIEW_CHARACTERS],
        )

    def system_prefix(self, system: str) -> Tokens:
        """The tokens that every conversation with this system prompt begins with.

        Found by rendering two conversations that differ from the first user
        character on, so that no knowledge of the template is needed.
        """
        if system in self._system_prefixes:
            self._system_prefixes.move_to_end(system)
            return self._system_prefixes[system]
        opening = {"role": "system", "content": system}
        one, other = (
            self._tokens([opening, {"role": "user", "content": probe}]) for probe in ("A", "7")
        )
        prefix = one[: agreement(one, other)]
        self._system_prefixes[system] = prefix
        if len(self._system_prefixes) > _REMEMBERED_SYSTEM_PROMPTS:
            self._system_prefixes.popitem(last=False)
        return prefix

    def _tokens(self, turns: list[dict[str, str]]) -> Tokens:
        try:
            text = self._render(turns)
        except jinja2.TemplateError as refusal:
            merged = _system_into_first_user(turns)
            if merged is None:
                raise ChatTemplateFailed(_refused(refusal)) from refusal
            try:
                text = self._render(merged)
            except jinja2.TemplateError as error:
                raise ChatTemplateFailed(_refused(error)) from error
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _render(self, turns: list[dict[str, str]]) -> str:
        template = None if self._tokenizer.has_chat_template else _PLAIN_TEMPLATE
        return str(
            self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, chat_template=template
            )
        )


def _turn(message: Message) -> dict[str, str]:
    # Templates know no developer role; OpenAI defines it as the system's successor.
    role = "system" if message.role == "developer" else message.role
    return {"role": role, "content": message.content}


def _system_into_first_user(turns: list[dict[str, str]]) -> list[dict[str, str]] | None:
    """The conversation for templates without a system role, or None where it has none."""
    if turns[0]["role"] != "system" or len(turns) < 2 or turns[1]["role"] != "user":
        return None
    system, user, *rest = turns
    return [{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}, *rest]


def _refused(error: jinja2.TemplateError) -> str:
    return (
        f"The model's chat template refused the conversation: {error}. "
        "Check the order and the roles of the messages."
    )
