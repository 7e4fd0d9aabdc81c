"""How one answer is guided and read: its grammar, its tool calls, its thoughts.

A request says what it wants; the model's template and tokenizer say in which form. What
comes out is a rule for sampling and a reader for the text, which agree with each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.inference.engine import protocol
from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.protocol import Grammar, Tool
from apps.inference.engine.sampling.grammar import CallGrammar, Constraint
from apps.inference.engine.sampling.json_schema import guided
from apps.inference.engine.sampling.stages import AfterReasoning, OnceOpened, Rule, Spelling
from apps.inference.engine.text.continuing import Within
from apps.inference.engine.text.harmony import HarmonyReader
from apps.inference.engine.text.reader import AnswerReader, Reader
from apps.inference.engine.text.reasoning import Beginning
from apps.inference.engine.text.tool_calls import Offer
from apps.inference.engine.text.tools import json_calls
from apps.inference.engine.text.tools.detect import special_tokens, speller
from apps.inference.engine.text.tools.formats import MOST_CALLS, Opening, ToolFormat, parameters_of
from apps.inference.engine.text.tools.harmony import HarmonyCalls


@dataclass(frozen=True)
class Guidance:
    rule: Rule | None
    reader: Reader | None
    """None where an answer is text and nothing else."""
    shown: dict[int, str]
    """Special tokens that the reader has to see."""


def offered_tools(request: protocol.Generate) -> tuple[Tool, ...]:
    """The tools that the model is to know of. Raises InvalidRequest for ones of no use."""
    choice = request.tool_choice
    if choice.mode == "none":
        return ()
    names = [tool.name for tool in request.tools]
    if choice.mode == "required" and not names:
        raise InvalidRequest("A tool call is required, and no tools are given. Give some.")
    if choice.name is not None and choice.name not in names:
        raise InvalidRequest(f"tool_choice names {choice.name}, which is not among the tools.")
    for tool in request.tools:
        try:
            parameters_of(tool)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(
                f"The parameters of {tool.name} can't be used: {error}."
            ) from error
    return request.tools


def guide(
    request: protocol.Generate,
    model: PooledModel,
    *,
    tools: tuple[Tool, ...],
    beginning: Beginning,
    within: Within | None = None,
) -> Guidance:
    """Raises InvalidRequest for a grammar or tools that the model can't follow.

    ``beginning``: how the answer to the rendered prompt begins.
    ``within``: what of an answer the prompt ends in.
    """
    guide = _Guide(request, model, tools, beginning)
    rule = guide.rule()
    offer = guide.offer
    marks = guide.marks
    if guide.channels is not None:
        return Guidance(rule, HarmonyReader(offer, within=within), guide.shown())
    if offer is None and marks is None:
        return Guidance(rule, None, {})
    reader = AnswerReader(marks, beginning, offer, within=within)
    return Guidance(rule, reader, guide.shown())


class _Guide:
    def __init__(
        self,
        request: protocol.Generate,
        model: PooledModel,
        tools: tuple[Tool, ...],
        beginning: Beginning,
    ) -> None:
        self._model = model
        self._tokenizer = model.loaded.tokenizer
        self._grammar = request.sampling.grammar
        self._choice = request.tool_choice
        self._beginning = beginning
        named = self._choice.name
        self._tools = tuple(tool for tool in tools if named in (None, tool.name))
        # A continued text has no thoughts or channels of its own.
        self.channels = model.formatter.channels if request.messages else None
        with_marks = request.messages and self.channels is None
        self.marks = model.formatter.reasoning if with_marks else None
        self._forced = bool(tools) and self._choice.mode == "required"
        self._format = self._chosen_format() if tools else None
        self.offer = self._offer()

    def rule(self) -> Rule | None:
        """What sampling has to keep to; the thoughts before it are free."""
        if self.channels is not None:
            return self._channel_rule(self.channels)
        rule = self._answer_rule()
        if rule is None or self.marks is None or self._beginning == "none":
            return rule
        return AfterReasoning(
            rule,
            self._spelling,
            end=self.marks.end.encode(),
            opened=self._beginning == "open",
            start=self._tokenizer.get_vocab().get(self.marks.start),
        )

    def shown(self) -> dict[int, str]:
        """Special tokens that are marks here, and so have a text."""
        texts = [self.marks.start, self.marks.end] if self.marks else []
        texts += self._format.markers if self._format else ()
        texts += self.channels.markers if self.channels else ()
        special = special_tokens(self._tokenizer)
        return {special[text]: text for text in texts if text in special}

    def _chosen_format(self) -> ToolFormat:
        own = self._model.formatter.tool_format
        if self._forced and own.whole(self._tools, most=1) is None:
            # Nobody here can enforce the model's own form; any model can be made to use ours.
            return json_calls.hermes(speller(self._tokenizer))
        return own

    def _offer(self) -> Offer | None:
        if self._format is None:
            return None
        single = self._choice.name is not None or not self._choice.parallel
        # Beside a response format, what looks like a call may be the format's own text.
        free = self._grammar is None and self._enforceable(self._format)
        enforced = self._forced or free
        return Offer(self._format, self._tools, parallel=not single, enforced=enforced)

    def _enforceable(self, form: ToolFormat) -> bool:
        """Whether calls can be kept in form; where not, they are read as they come."""
        after = [form.after(opening, self._tools) for opening in form.openings]
        known = bool(after) and None not in after
        return known and self._model.grammars.usable

    def _answer_rule(self) -> Rule | None:
        offer, grammars = self.offer, self._model.grammars
        if offer is None:
            return grammars.constraint(self._grammar) if self._grammar else None
        # A model that knows no tools goes on calling where it may.
        most = MOST_CALLS if offer.parallel and offer.format.native else 1
        calls = offer.format.whole(offer.tools, most=most)
        if self._forced:
            return grammars.constraint(CallGrammar(f"start: calls\n{calls}"))
        if self._grammar is not None:
            content = _content(self._grammar)
            if calls is None:
                raise InvalidRequest(
                    "This model's tool calls can't be combined with a response format. Ask "
                    "without tools, or without the format."
                )
            return grammars.constraint(CallGrammar(f"start: calls | {content}\n{calls}"))
        return self._once_opened(offer) if offer.enforced else None

    def _channel_rule(self, channels: HarmonyCalls) -> Rule | None:
        """Of a whole answer, its thoughts included: those of channels are part of its form."""
        grammars, tools = self._model.grammars, self._tools if self.offer else ()
        if self._forced:
            text = f"start: calls\n{channels.whole(tools, most=1)}"
        elif self._grammar is None:
            return None
        else:
            grammars.constraint(self._grammar)  # so that an error of it is told as its own
            content = _content(self._grammar)
            text = channels.call_or_final(tools, content) if tools else channels.final(content)
        return grammars.constraint(CallGrammar(text))

    def _once_opened(self, offer: Offer) -> OnceOpened:
        openings: dict[bytes, Callable[[], Constraint]] = {}
        at_start: dict[bytes, Callable[[], Constraint]] = {}
        for opening in offer.format.openings:
            make = self._constraint_after(offer, opening)
            (at_start if opening.at_start else openings)[opening.text.encode()] = make
        return OnceOpened(self._spelling, openings=openings, at_start=at_start)

    def _constraint_after(self, offer: Offer, opening: Opening) -> Callable[[], Constraint]:
        """Compiled now, so that a schema of no use is refused before the answer begins."""
        text = offer.format.after(opening, offer.tools)
        assert text is not None
        grammar = CallGrammar(text)
        self._model.grammars.constraint(grammar)
        return lambda: self._model.grammars.constraint(grammar)

    @property
    def _spelling(self) -> Spelling:
        return Spelling(self._model.vocabulary.bytes_of, self._model.grammars.tokens_of)


def _content(grammar: Grammar) -> str:
    """A grammar as an alternative in a Lark rule."""
    if grammar.kind == "json_schema":
        try:
            schema: Any = json.loads(grammar.text)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(
                f"The JSON Schema can't be used: it is no JSON ({error})."
            ) from error
        if not isinstance(schema, dict):
            raise InvalidRequest("The JSON Schema can't be used: it is no JSON object.")
        try:
            return f"%json {json.dumps(guided(schema))}"
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"The JSON Schema can't be used: {error}.") from error
    if grammar.kind == "regex":
        return "/" + grammar.text.replace("/", r"\/") + "/"
    raise InvalidRequest(
        "A Lark grammar can't be combined with tools, nor with a model that answers in channels. "
        "Ask without tools, or with a schema."
    )
