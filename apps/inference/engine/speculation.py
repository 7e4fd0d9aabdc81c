"""Speculative decoding: a draft model proposes tokens, the model checks them in one pass.

Leviathan, Kalman, Matias 2023, https://arxiv.org/abs/2211.17192, with another test of
acceptance: every position has its own random key, and a proposed token is accepted
where it is the one that the model itself would have drawn with that key. So an answer
has the same tokens with a draft as without, greedy or seeded, as far as floating point
allows; and since the draft draws with the same keys, it often proposes that very token.

This module owns the draft's cache and decides how much is worth proposing. The runner
checks the proposals.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import KVCache, make_prompt_cache

from apps.inference.engine.adapters.bank import AdapterBank
from apps.inference.engine.sampling import RowSampler, sample
from apps.inference.engine.sequence import Sequence
from apps.inference.engine.tokens import Tokens, agreement

_CATCH_UP_TOKENS = 256
"""Tokens of a prompt that the draft reads between two steps."""

_MOST = 6
"""Tokens proposed at a time to a draft that is always right."""

_HOPELESS = 0.2
"""Share of accepted tokens below which proposing costs more than it gains."""

_REST_STEPS = 32
"""Steps that such a draft pauses before it is tried again."""

_MEMORY = 0.8
"""How much the share of accepted tokens so far counts against the newest proposal's."""


def can_rewind(cache: list[Any]) -> bool:
    """Whether proposals that failed can be taken out of a cache again."""
    return all(type(layer) is KVCache for layer in cache)


class Drafter:
    """Proposes tokens for one sequence at a time."""

    def __init__(self, model: Any, adapters: AdapterBank) -> None:
        """``model``: an mlx-lm model with the vocabulary of the one that it drafts for.

        ``adapters`` are its own, for when it answers by itself; it drafts without them.
        """
        self.model = model
        self._adapters = adapters
        self.usable = can_rewind(make_prompt_cache(model))
        self.drafted = 0
        self.accepted = 0
        self._cache: list[Any] = []
        self._seen: Tokens = ()
        """The tokens in the draft's cache."""
        self._sequence: int | None = None
        self._share = 1.0
        self._rest = 0

    @property
    def nbytes(self) -> int:
        """Of the KV that it keeps."""
        return sum(int(layer.nbytes) for layer in self._cache)

    def ready(self, sequence: Sequence, known: Tokens) -> bool:
        """Whether to propose what follows ``known``; if not, reads on towards its end."""
        self._adapters.use([None])
        if sequence.id != self._sequence:
            self._begin(sequence)
        if self._rest:
            self._rest -= 1
            return False
        self._rewind(agreement(self._seen, known))
        if len(known) - len(self._seen) <= _CATCH_UP_TOKENS:
            return True
        self._read(known[len(self._seen) :][:_CATCH_UP_TOKENS])
        mx.eval([layer.state for layer in self._cache])
        return False

    def propose(self, known: Tokens, sampler: RowSampler, most: int) -> mx.array:
        """Up to ``most`` tokens to follow ``known``, shape (tokens,), not evaluated."""
        count = min(most, 1 + int(self._share * (_MOST - 1)))
        unread: mx.array = mx.array(known[len(self._seen) :])
        self._seen = known
        proposed: list[mx.array] = []
        for _ in range(count):
            logits = self.model(unread[None], cache=self._cache)[:, -1, :]
            unread = sample(logits, [sampler])
            proposed.append(unread)
        return mx.concatenate(proposed)

    def settle(self, sequence: Sequence, proposed: Tokens, accepted: int) -> None:
        """Take note of how many proposed tokens held."""
        # The last proposal was never read by the draft itself.
        self._seen = (*self._seen, *proposed[:-1])
        self.drafted += len(proposed)
        self.accepted += accepted
        sequence.drafted += len(proposed)
        sequence.accepted += accepted
        self._share = _MEMORY * self._share + (1 - _MEMORY) * accepted / len(proposed)
        if self._share < _HOPELESS:
            # Pessimistic afterwards, so that a draft that stays wrong rests again soon.
            self._rest, self._share = _REST_STEPS, 2 * _HOPELESS

    def forget(self, sequence_id: int) -> None:
        """Free what is kept for a sequence that ended."""
        if sequence_id == self._sequence:
            self._sequence, self._cache, self._seen = None, [], ()

    def _begin(self, sequence: Sequence) -> None:
        self._sequence, self._seen = sequence.id, ()
        self._cache = make_prompt_cache(self.model)
        self._share, self._rest = 1.0, 0

    def _rewind(self, length: int) -> None:
        for layer in self._cache:
            layer.trim(len(self._seen) - length)
        self._seen = self._seen[:length]

    def _read(self, tokens: Tokens) -> None:
        self.model(mx.array(tokens)[None], cache=self._cache)
        self._seen = (*self._seen, *tokens)
