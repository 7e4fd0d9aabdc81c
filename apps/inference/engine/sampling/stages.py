"""Constraints that hold for parts of an answer only.

    AfterReasoning   a model thinks freely first; what follows keeps to its grammar
    OnceOpened       text is free, and a tool call keeps to its grammar once it is opened

Both watch the bytes of the tokens that were chosen. While nothing is constrained, every
token may come, and no grammar is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from apps.inference.engine.sampling.grammar import Constraint


class Rule(Protocol):
    """What one answer must look like."""

    def accept(self, token: int) -> None:
        """Go on by a token that was chosen."""
        ...

    def resume(self, answer: Iterable[int]) -> None:
        """Start over from an answer of which this much exists."""
        ...

    def mask(self, vocabulary: int) -> np.ndarray:
        """Which tokens may come next, shape (vocabulary,), bool."""
        ...

    def check(self, position: int) -> None:
        """Raises InvalidRequest unless the answer's token ``position`` was chosen by a grammar."""
        ...


@dataclass(frozen=True)
class Spelling:
    """A vocabulary in both directions."""

    bytes_of: Callable[[int], bytes]
    tokens_of: Callable[[bytes], list[int]]


class AfterReasoning:
    """Another rule, from behind a reasoning span on."""

    def __init__(
        self, rule: Rule, spelling: Spelling, *, end: bytes, opened: bool, start: int | None = None
    ) -> None:
        """``opened``: whether the answer begins inside a span, which ``end`` closes.

        ``start``: the token that opens one; the answer may begin with it.
        """
        self._rule = rule
        self._spelling = spelling
        self._end = end
        self._opened = opened
        self._start = None if opened else start
        self._reset()

    def _reset(self) -> None:
        self._thinking = self._opened
        self._accepted = 0
        self._offset = 0
        """How many tokens of the answer are not the inner rule's."""
        self._tail = b""

    def accept(self, token: int) -> None:
        if self._accepted == 0 and token == self._start:
            self._thinking = True
        self._accepted += 1
        if not self._thinking:
            self._rule.accept(token)
            return
        self._offset += 1
        self._tail += self._spelling.bytes_of(token)
        self._thinking = self._end not in self._tail
        self._tail = self._tail[-len(self._end) :]

    def resume(self, answer: Iterable[int]) -> None:
        self._rule.resume(())
        self._reset()
        for token in answer:
            self.accept(token)

    def mask(self, vocabulary: int) -> np.ndarray:
        if self._thinking:
            return np.ones(vocabulary, dtype=bool)
        allowed = self._rule.mask(vocabulary)
        if self._accepted == 0 and self._start is not None:
            allowed = allowed.copy()
            allowed[self._start] = True
        return allowed

    def check(self, position: int) -> None:
        if position >= self._offset:
            self._rule.check(position - self._offset)


class OnceOpened:
    """Free text in which calls keep to a grammar from their opening on."""

    def __init__(
        self,
        spelling: Spelling,
        *,
        openings: Mapping[bytes, Callable[[], Constraint]],
        at_start: Mapping[bytes, Callable[[], Constraint]],
    ) -> None:
        """Each opening with what makes the constraint of what follows it.

        Those ``at_start`` count where the answer begins with them, white space aside.
        """
        self._spelling = spelling
        self._openings = openings
        self._at_start = at_start
        self._longest = max(map(len, openings), default=0)
        self._reset()

    def _reset(self) -> None:
        self._call: Constraint | None = None
        self._text = b""
        """What was written since the last call: all of it at the beginning, later its end."""
        self._at_beginning = True
        self._accepted = 0
        self._offset = 0
        """Where the call's constraint begins to count, in tokens of the answer."""

    def accept(self, token: int) -> None:
        self._accepted += 1
        if self._call is not None:
            self._call.accept(token)
            if self._call.complete:
                self._call, self._text = None, b""
            return
        self._text += self._spelling.bytes_of(token)
        opened = self._opened()
        if opened is not None:
            behind, make = opened
            self._open(behind, make())
        elif not self._at_beginning:
            self._text = self._text[-self._longest :]

    def _opened(self) -> tuple[bytes, Callable[[], Constraint]] | None:
        """What stands behind an opening, if one is there, and how it has to go on."""
        if self._at_beginning:
            stripped = self._text.lstrip()
            for opening, make in self._at_start.items():
                if stripped.startswith(opening):
                    return stripped[len(opening) :], make
            self._at_beginning = any(o.startswith(stripped) for o in self._at_start)
        for opening, make in self._openings.items():
            _, found, behind = self._text.partition(opening)
            if found:
                return behind, make
        return None

    def _open(self, behind: bytes, call: Constraint) -> None:
        self._at_beginning, self._text = False, b""
        tokens = self._spelling.tokens_of(behind)
        for token in tokens:
            call.accept(token)
        # A token may hold an opening and go on in a way that is no call: let it.
        if not call.stuck:
            self._call, self._offset = call, self._accepted - len(tokens)

    def resume(self, answer: Iterable[int]) -> None:
        self._reset()
        for token in answer:
            self.accept(token)

    def mask(self, vocabulary: int) -> np.ndarray:
        if self._call is None:
            return np.ones(vocabulary, dtype=bool)
        return self._call.mask(vocabulary)

    def check(self, position: int) -> None:
        if self._call is not None:
            self._call.check(position - self._offset)
