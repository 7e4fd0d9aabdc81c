"""Conversations to prompt tokens, and where the system prompt ends in them."""

from __future__ import annotations

import inspect
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerBase

from apps.inference.engine.errors import ChatTemplateFailed, InvalidRequest
from apps.inference.engine.protocol import CacheMark, Message, Tool
from apps.inference.engine.text.continuing import Begun, Within, begun, begun_in_channels
from apps.inference.engine.text.reasoning import Beginning, ReasoningMarks, reasoning_marks
from apps.inference.engine.text.tools.detect import names_in, template_source, tool_format
from apps.inference.engine.text.tools.formats import ToolFormat
from apps.inference.engine.text.tools.generic import with_tools
from apps.inference.engine.text.tools.harmony import HarmonyCalls
from apps.inference.engine.text.tools.rendering import Turn, function_of, turns_of
from apps.inference.engine.tokens import Tokens, agreement

PREVIEW_CHARACTERS = 120
_REMEMBERED_TOKENS = 256 * 1024
"""Of system prompts together, so that long ones do not pile up."""

# For base models, which come without a chat template.
_PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

# What a template's own program raises for a conversation or an option that it did not expect.
_TEMPLATE_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)

_RESERVED_OPTIONS = {
    *inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters,
    "messages",
}
"""Names that are the renderer's own; a request must not bring its own template."""


@dataclass(frozen=True)
class ChatPrompt:
    tokens: Tokens
    system_tokens: int
    """Length of the prefix that any conversation with this system prompt begins with."""
    system_preview: str
    preview: str
    beginning: Beginning = "none"
    """How the answer begins, where the model has reasoning spans."""
    marked_tokens: int = 0
    """Length of the prefix that the caller will ask again, where it marked one."""
    within: Within | None = None
    """What of an answer the prompt ends in, where it is one to go on from."""


class ChatFormatter:
    """A model's chat template and tokenizer as one function of a conversation."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._system_prefixes: OrderedDict[str, Tokens] = OrderedDict()

    @property
    def tokenizer(self) -> Any:
        """For prompts that have no template."""
        return self._tokenizer

    @cached_property
    def tool_format(self) -> ToolFormat:
        """How the model writes tool calls."""
        return tool_format(self._tokenizer)

    @cached_property
    def channels(self) -> HarmonyCalls | None:
        """The form of its answers where it answers in channels."""
        form = self.tool_format
        return form if isinstance(form, HarmonyCalls) else None

    @cached_property
    def reasoning(self) -> ReasoningMarks | None:
        """What it writes around its thoughts."""
        return reasoning_marks(self._tokenizer)

    def prompt(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        options: Mapping[str, Any] | None = None,
        mark: CacheMark | None = None,
        continue_final: bool = False,
    ) -> ChatPrompt:
        """The prompt of a conversation in which ``tools`` are offered.

        ``options`` are more variables for the template. With ``continue_final`` the last message
        is the beginning of the answer, and the prompt ends where that does.
        Raises InvalidRequest for an option that is the renderer's own, and ChatTemplateFailed
        where the template refuses the conversation.
        """
        options = self._variables(options or {})
        answered = messages[:-1] if continue_final else messages
        text = self._text(self._turns(answered), tools, options)
        beginning = self.reasoning.beginning(text) if self.reasoning else "none"
        so_far = self._begun(messages[-1], beginning) if continue_final else None
        if so_far is not None:
            text += so_far.text
            beginning = "open" if so_far.within == "thought" else "none"
        tokens = self._encoded(text)
        first = messages[0]
        system = first.content if first.role in ("system", "developer") else ""
        asked = next((each.content for each in messages if each.role == "user"), system)
        prefix = self.system_prefix(system, tools, options) if system or tools else ()
        return ChatPrompt(
            tokens=tokens,
            # A template may place the system prompt late, or drop it after some
            # turns: only what this very prompt begins with counts.
            system_tokens=agreement(prefix, tokens),
            system_preview=(system or _named(tools))[:PREVIEW_CHARACTERS],
            preview=asked[:PREVIEW_CHARACTERS],
            beginning=beginning,
            marked_tokens=self._marked(mark, messages, tokens, tools, options) if mark else 0,
            within=so_far.within if so_far else None,
        )

    def _begun(self, answer: Message, beginning: Beginning) -> Begun:
        if self.channels is not None:
            return begun_in_channels(answer)
        return begun(answer, self.reasoning, beginning)

    def _marked(
        self,
        mark: CacheMark,
        messages: Sequence[Message],
        tokens: Tokens,
        tools: Sequence[Tool],
        options: Mapping[str, Any],
    ) -> int:
        """What the prompt and one that ends with the mark have in common.

        0 where the template takes no conversation that ends there.
        """
        *before, last = messages[: mark.messages]
        if mark.characters is not None:
            last = last.model_copy(update={"content": last.content[: mark.characters]})
        try:
            text = self._text(self._turns([*before, last]), tools, options)
        except ChatTemplateFailed:
            return 0
        return agreement(self._encoded(text), tokens)

    def system_prefix(
        self,
        system: str,
        tools: Sequence[Tool] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Tokens:
        """The tokens that every conversation with this system prompt and these tools begins with.

        Found by rendering two conversations that differ from the first user
        character on, so that no knowledge of the template is needed.
        """
        key = _key(system, tools, options or {})
        if key in self._system_prefixes:
            self._system_prefixes.move_to_end(key)
            return self._system_prefixes[key]
        opening: list[Turn] = [{"role": "system", "content": system}] if system else []
        one, other = (
            self._encoded(
                self._text([*opening, {"role": "user", "content": probe}], tools, options or {})
            )
            for probe in ("A", "7")
        )
        prefix = one[: agreement(one, other)]
        self._system_prefixes[key] = prefix
        while sum(map(len, self._system_prefixes.values())) > _REMEMBERED_TOKENS:
            self._system_prefixes.popitem(last=False)
        return prefix

    @cached_property
    def _template_names(self) -> frozenset[str]:
        return names_in(template_source(self._tokenizer))

    def _variables(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a request says of the template, in the template's own names."""
        reserved = _RESERVED_OPTIONS.intersection(options)
        if reserved:
            raise InvalidRequest(
                f"{min(reserved)} is no option of a chat template. Leave it out of "
                "chat_template_kwargs."
            )
        given = dict(options)
        effort = given.get("reasoning_effort")
        if effort is not None:
            given.setdefault("enable_thinking", effort != "none")
        names = self._template_names
        if "thinking" in names and "enable_thinking" not in names and "enable_thinking" in given:
            given.setdefault("thinking", given["enable_thinking"])
        return given

    def _turns(self, messages: Sequence[Message]) -> list[Turn]:
        with_calls = any(each.role == "tool" or each.tool_calls for each in messages)
        return turns_of(messages, short_ids=with_calls and self.tool_format.short_ids)

    def _text(
        self, turns: Sequence[Turn], tools: Sequence[Tool], options: Mapping[str, Any]
    ) -> str:
        """The rendered conversation, up to where the answer begins."""
        turns = list(turns)
        definitions: list[Turn] | None = [function_of(tool) for tool in tools] or None
        with_calls = any(turn["role"] == "tool" or "tool_calls" in turn for turn in turns)
        if (tools or with_calls) and not self.tool_format.native:
            turns, definitions = with_tools(turns, tools), None
        try:
            return self._render(turns, definitions, options)
        except _TEMPLATE_ERRORS as refusal:
            merged = _system_into_first_user(turns)
            if merged is None:
                raise ChatTemplateFailed(_refused(refusal)) from refusal
            try:
                return self._render(merged, definitions, options)
            except _TEMPLATE_ERRORS as error:
                raise ChatTemplateFailed(_refused(error)) from error

    def _render(
        self, turns: list[Turn], tools: list[Turn] | None, options: Mapping[str, Any]
    ) -> str:
        template = None if self._tokenizer.has_chat_template else _PLAIN_TEMPLATE
        return str(
            self._tokenizer.apply_chat_template(
                turns,
                tools=tools,
                tokenize=False,
                add_generation_prompt=True,
                chat_template=template,
                **options,
            )
        )

    def _encoded(self, text: str) -> Tokens:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))


def _key(system: str, tools: Sequence[Tool], options: Mapping[str, Any]) -> str:
    """Equal for conversations that begin alike."""
    if not tools and not options:
        return system
    offered = [tool.model_dump() for tool in tools]
    return json.dumps([system, offered, dict(options)], sort_keys=True)


def _named(tools: Sequence[Tool]) -> str:
    return "Tools: " + ", ".join(tool.name for tool in tools) if tools else ""


def _system_into_first_user(turns: list[Turn]) -> list[Turn] | None:
    """The conversation for templates without a system role, or None where it has none."""
    if turns[0]["role"] != "system" or len(turns) < 2 or turns[1]["role"] != "user":
        return None
    system, user, *rest = turns
    return [{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}, *rest]


def _refused(error: Exception) -> str:
    return (
        f"The model's chat template refused the conversation: {error}. "
        "Check the order and the roles of the messages."
    )
