"""What a job takes from the prompt cache when it begins, and leaves in it on its way."""

from __future__ import annotations

import logging

from apps.inference.engine.job import Job
from apps.inference.engine.prompt_cache.cache import PromptCache
from apps.inference.engine.tokens import Tokens

logger = logging.getLogger(__name__)


class Reuse:
    def __init__(self, cache: PromptCache) -> None:
        self._cache = cache

    def begin(self, job: Job) -> None:
        """Start an admitted sequence from what is cached of it."""
        sequence, runner = job.sequence, job.model.runner
        sequence.computed, sequence.stops, spans = 0, (), []
        # The places of a scored prompt have to be computed, all of them.
        if runner.cacheable and sequence.scored is None:
            exact = runner.needs_checkpoints
            hit = self._cache.lookup(sequence.namespace, sequence.to_prefill, exact=exact)
            sequence.computed = hit.tokens
            sequence.stops = job.checkpoint_stops(hit) if exact else ()
            spans = hit.spans
        sequence.begun = True
        runner.begin(sequence, job.sampler, spans)

    def remember(self, job: Job) -> None:
        """File what the model has seen of a sequence, if that works."""
        sequence = job.sequence
        if not job.model.runner.cacheable or not sequence.begun or not sequence.computed:
            return
        try:
            self._file(job, sequence.spelled[: sequence.computed])
        except Exception:  # what can't be cached must not cost the answer
            logger.exception("prompt cache: a prompt could not be filed")

    def entry_of(self, job: Job) -> str:
        """The id of the entry of exactly a job's prompt; empty where there is none."""
        return self._cache.entry_at(job.sequence.namespace, job.sequence.prompt) or ""

    def _file(self, job: Job, tokens: Tokens) -> None:
        runner, namespace = job.model.runner, job.sequence.namespace
        covered = self._cache.covered(namespace, tokens, exact=runner.needs_checkpoints)
        span = runner.span(job.sequence, covered, len(tokens)) if covered < len(tokens) else None
        marks = job.marks_within(len(tokens))
        self._cache.remember(namespace, tokens, span, model=job.model.spec, marks=marks)
