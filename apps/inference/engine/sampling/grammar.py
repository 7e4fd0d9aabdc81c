"""Grammars: which tokens may come next, by llguidance.

A model has one ``Grammars``: its vocabulary in the form that llguidance works on,
made when the first constrained request comes, and the grammars compiled lately. A
row has one ``Constraint``: how far its answer has come in its grammar.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import mlx.core as mx
import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Grammar
from apps.inference.engine.sampling.deep_stack import on_deep_stack
from apps.inference.engine.sampling.json_schema import guided

MAX_CHARACTERS = {
    "json_schema": 128 * 1024,
    "regex": 4 * 1024,
    "lark": 16 * 1024,
    "calls": 256 * 1024,
}
"""By kind of grammar. Other answers wait while one is compiled: with the limits below, the
worst that were found take less than a second."""

_COMPILED = 32
"""Grammars kept compiled per model."""

_LIMITS: dict[str, Any] = {
    # A few rules can stand for an exponentially large expression.
    "initial_lexer_fuel": 200_000,
    # A state takes 1 to 2 kB; llguidance's own limit would let one grammar take 500 MB.
    "max_lexer_states": 50_000,
    # Bounds a mask's time, for which neighbours wait, to some 20 ms on a slow core.
    "step_max_items": 20_000,
    # Its errors would quote the parser's state.
    "verbose_errors": False,
}

_NAMES = {
    "json_schema": "JSON Schema",
    "regex": "regular expression",
    "lark": "grammar",
    "calls": "tools' parameters",
}


@dataclass(frozen=True)
class CallGrammar:
    """How tool calls look: Lark rules of the engine's own around the schemas of a request."""

    text: str
    kind: ClassVar = "calls"


class Grammars:
    def __init__(self, tokenizer: Any, *, limits: dict[str, Any] | None = None) -> None:
        """``tokenizer``: mlx-lm's wrapper of a transformers fast tokenizer.

        ``limits``: what ``llguidance.LLParserLimits`` takes, over the defaults here.
        """
        self._tokenizer = tokenizer
        self._limits = LLParserLimits(**(_LIMITS | (limits or {})))
        self._vocabulary: LLTokenizer | None = None
        self._compiled: OrderedDict[Grammar | CallGrammar, LLMatcher] = OrderedDict()

    def constraint(self, grammar: Grammar | CallGrammar) -> Constraint:
        """A new answer's constraint. Raises InvalidRequest where the grammar is of no use."""
        matcher = self._compiled.get(grammar)
        if matcher is None:
            matcher = self._compile(grammar)
            self._compiled[grammar] = matcher
            if len(self._compiled) > _COMPILED:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return Constraint(matcher.deep_copy())

    @property
    def usable(self) -> bool:
        """Whether the model's tokenizer is of a kind that grammars work with."""
        try:
            self._vocabulary = self._vocabulary or _vocabulary(self._tokenizer)
        except InvalidRequest:
            return False
        return True

    def tokens_of(self, data: bytes) -> list[int]:
        """Tokens that spell ``data`` to a constraint, whatever the tokenizer would choose."""
        if not data:
            return []
        self._vocabulary = self._vocabulary or _vocabulary(self._tokenizer)
        return list(self._vocabulary.tokenize_bytes(data))

    def _compile(self, grammar: Grammar | CallGrammar) -> LLMatcher:
        longest = MAX_CHARACTERS[grammar.kind]
        if len(grammar.text) > longest:
            raise _refused(grammar, f"it is longer than {longest} characters")
        vocabulary = self._vocabulary = self._vocabulary or _vocabulary(self._tokenizer)
        source = _source(grammar)
        matcher = on_deep_stack(lambda: _prepared(vocabulary, source, self._limits))
        if matcher.is_error():
            raise _refused(grammar, _reason(matcher.get_error()))
        if not _any_allowed(matcher):
            raise _refused(grammar, "no token of this model begins an answer that fits it")
        return matcher


class Constraint:
    """One answer's way through its grammar."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._accepted = 0
        self._stuck: tuple[int, str] | None = None

    @property
    def complete(self) -> bool:
        """Whether the grammar may end here."""
        return self._stuck is None and self._matcher.is_accepting()

    @property
    def stuck(self) -> bool:
        """Whether something was accepted that the grammar does not allow."""
        return self._stuck is not None

    def accept(self, token: int) -> None:
        """Go on by a token that was chosen."""
        if self._stuck is None and not self._matcher.consume_token(token):
            self._fail(self._accepted, self._matcher.get_error())
        self._accepted += 1

    def resume(self, answer: Iterable[int]) -> None:
        """Start over from an answer of which this much exists."""
        self._matcher.reset()
        self._accepted, self._stuck = 0, None
        for token in answer:
            self.accept(token)

    def mask(self, vocabulary: int) -> np.ndarray:
        """Which tokens may come next, shape (vocabulary,), bool.

        Once the grammar is complete, end tokens only. Where it can't go on, everything:
        the answer is about to end with an error, and its row must not end in NaN.
        """
        if self._stuck is None:
            allowed = self._allowed(vocabulary)
            if allowed.any():
                return allowed
            reason = self._matcher.get_error() or "no token of this model can follow"
            self._fail(self._accepted, reason)
        return np.ones(vocabulary, dtype=bool)

    def check(self, position: int) -> None:
        """Raises InvalidRequest unless the answer's token ``position`` was chosen by the grammar."""
        if self._stuck is not None and position >= self._stuck[0]:
            raise InvalidRequest(
                f"The grammar could not be followed past token {self._stuck[0]} of the answer: "
                f"{self._stuck[1]}. Make it simpler or less ambiguous."
            )

    def _allowed(self, vocabulary: int) -> np.ndarray:
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        if self._matcher.is_error():
            return np.zeros(vocabulary, dtype=bool)
        # The model's output may be wider or narrower than its tokenizer's vocabulary.
        listed = np.unpackbits(bits, count=min(vocabulary, 8 * len(bits)), bitorder="little")
        return np.pad(listed.view(bool), (0, vocabulary - len(listed)))

    def _fail(self, position: int, error: str) -> None:
        self._stuck = (position, _reason(error))


class Masking(Protocol):
    """Says which tokens may come next."""

    def mask(self, vocabulary: int) -> np.ndarray: ...


def constrained(logits: mx.array, rows: Sequence[Masking]) -> mx.array:
    """Logits, shape (rows, vocabulary), of what may not come at minus infinity."""
    masks = np.stack([row.mask(logits.shape[-1]) for row in rows])
    return mx.where(mx.array(masks), logits, -mx.inf)


def _vocabulary(tokenizer: Any) -> LLTokenizer:
    """Takes a quarter of a second for 49,152 tokens: once per loaded model."""
    backend = tokenizer.backend_tokenizer
    size = backend.get_vocab_size(with_added_tokens=True)
    ends = sorted(token for token in tokenizer.eos_token_ids if token is not None and token < size)
    if not ends:
        raise InvalidRequest(
            "This model's tokenizer names no end token, so an answer could not end where its "
            "grammar does. Ask without a grammar, or use another model."
        )
    try:
        return LLTokenizer(backend.to_str(), eos_token=ends)
    except ValueError as error:
        raise InvalidRequest(
            f"Grammars don't work with this model's tokenizer ({_reason(str(error))}). "
            "Ask without a grammar, or use another model."
        ) from error


def _prepared(vocabulary: LLTokenizer, source: str, limits: LLParserLimits) -> LLMatcher:
    """Compiled, its first mask computed: that is the most expensive one, and copies share it."""
    matcher = LLMatcher(vocabulary, source, log_level=0, limits=limits)
    if not matcher.is_error():
        matcher.compute_bitmask()
    return matcher


def _any_allowed(matcher: LLMatcher) -> bool:
    return bool(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8).any())


def _source(grammar: Grammar | CallGrammar) -> str:
    """The grammar in llguidance's own notation."""
    if grammar.kind == "regex":
        return LLMatcher.grammar_from_regex(grammar.text)
    if grammar.kind in ("lark", "calls"):
        return LLMatcher.grammar_from_lark(grammar.text)
    try:
        schema = json.loads(grammar.text)
    except (ValueError, RecursionError) as error:
        raise _refused(grammar, f"it is no JSON ({error})") from error
    if not isinstance(schema, dict):
        raise _refused(grammar, "it is no JSON object")
    try:
        return LLMatcher.grammar_from_json_schema(json.dumps(guided(schema)))
    except (ValueError, RecursionError) as error:
        raise _refused(grammar, _reason(str(error))) from error


def _refused(grammar: Grammar | CallGrammar, reason: str) -> InvalidRequest:
    return InvalidRequest(f"The {_NAMES[grammar.kind]} can't be used: {reason}.")


def _reason(error: str) -> str:
    """llguidance's message as part of a sentence, without the source lines that it quotes."""
    lines = error.splitlines() or ["unknown reason"]
    explained = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (explained or lines)[0].strip().rstrip(".:")[:300]
