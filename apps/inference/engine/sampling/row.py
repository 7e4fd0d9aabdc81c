"""A row's sampler: what one request asks of sampling, and where it stands in it."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence

from apps.inference.engine.protocol import Sampling
from apps.inference.engine.sampling.bias import LogitBias
from apps.inference.engine.sampling.keys import random_key
from apps.inference.engine.sampling.logprobs import ChosenToken, LogprobBatch
from apps.inference.engine.sampling.penalties import Penalties
from apps.inference.engine.sampling.stages import Rule
from apps.inference.engine.tokens import Tokens


class RowSampler:
    """Belongs to one sequence from its admission on, whatever batches it is in.

    All that changes from token to token is in here, so forming a batch anew can't
    give one row what is another's.
    """

    def __init__(
        self,
        sampling: Sampling,
        *,
        prompt: Tokens = (),
        constraint: Rule | None = None,
    ) -> None:
        """``prompt``: its tokens count for the repetition penalty."""
        self.temperature = sampling.temperature
        self.top_p = sampling.top_p
        self.top_k = sampling.top_k
        self.min_p = sampling.min_p
        self.logprobs = sampling.logprobs
        self.bias = LogitBias(sampling.logit_bias) if sampling.logit_bias else None
        self.penalties = Penalties(sampling, prompt) if Penalties.wanted(sampling) else None
        self.constraint = constraint
        self._seed = secrets.randbits(64) if sampling.seed is None else sampling.seed
        self._drawn = 0
        self._chosen: deque[tuple[LogprobBatch, int]] = deque()

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def adjusts(self) -> bool:
        """Whether it chooses by anything else than the model's own logits."""
        return not (self.bias is None and self.penalties is None and self.constraint is None)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is all that it wants to know."""
        return self.greedy and not self.adjusts and self.logprobs is None

    @property
    def foreseeable(self) -> bool:
        """Whether its choice depends on the logits and the position alone."""
        return not self.adjusts and self.logprobs is None

    @property
    def constrained(self) -> bool:
        return self.constraint is not None

    def resume(self, answer: Sequence[int]) -> None:
        """Go on behind ``answer``, the tokens that were told so far.

        For a sequence that lost its place and is prefilled again: it goes on as if
        nothing had happened.
        """
        self._drawn = len(answer)
        self._chosen.clear()
        if self.penalties is not None:
            self.penalties.resume(answer)
        if self.constraint is not None:
            self.constraint.resume(answer)

    @property
    def drawn(self) -> int:
        """How many random tokens were drawn."""
        return self._drawn

    def rewind(self, drawn: int) -> None:
        """Draw on from behind the first ``drawn`` tokens, with the keys of those places."""
        self._drawn = drawn

    def next_key(self) -> tuple[int, int]:
        """The next draw's random key, as the two halves that MLX keys consist of."""
        self._drawn += 1
        return random_key(self._seed, self._drawn - 1)

    def note_logprobs(self, batch: LogprobBatch, row: int) -> None:
        """Keep a sampled token's log probabilities until it is told."""
        self._chosen.append((batch, row))

    def tell(self, position: int) -> ChosenToken | None:
        """The log probabilities of the answer's token ``position``, where they were asked for.

        Called once for each token that is told, in order. Raises InvalidRequest for a
        token that the grammar did not choose, because it could not be followed so far.
        """
        if self.constraint is not None:
            self.constraint.check(position)
        if not self._chosen:
            return None
        batch, row = self._chosen.popleft()
        return batch.read(row)
