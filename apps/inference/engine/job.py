"""A job: a request that was accepted, with all it takes to compute and publish it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from apps.inference.engine import protocol
from apps.inference.engine.errors import ContextLengthExceeded, InsufficientMemory
from apps.inference.engine.guidance import guide, offered_tools
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.prompt_cache.cache import Hit, Mark
from apps.inference.engine.prompt_scores import PromptScores
from apps.inference.engine.sampling import RowSampler
from apps.inference.engine.sampling.bias import check_bias
from apps.inference.engine.sampling.stages import Rule
from apps.inference.engine.sequence import Call, Sequence
from apps.inference.engine.text.answer import AnswerText, Piece
from apps.inference.engine.text.chat import PREVIEW_CHARACTERS, ChatFormatter, ChatPrompt
from apps.inference.engine.text.raw import raw_prompt
from apps.inference.engine.tokens import Tokens

_CONTEXT = 8
"""Tokens of a text that those behind it are decoded with: more than a character takes."""


@dataclass(eq=False)
class Job:
    sequence: Sequence
    call: Call
    model: PooledModel
    marks: tuple[Mark, ...]
    """The ends in its prompt that are worth a prompt cache entry, in ascending order."""
    sampler: RowSampler
    text: AnswerText | None
    """None for a warm-up."""
    scores: PromptScores | None = None
    """Where the caller is told the prompt's tokens."""
    marked: int = 0
    """Length of the beginning that the caller will ask again; 0 where it marked none."""

    def marks_within(self, computed: int) -> list[Mark]:
        """What to file the first ``computed`` tokens under."""
        marks = [mark for mark in self.marks if mark.end <= computed]
        if self.text is not None:
            marks.append(Mark("conversation", computed, self.marks[-1].preview))
        return marks

    def checkpoint_stops(self, hit: Hit) -> tuple[int, ...]:
        """Where to take checkpoints on the way through the prompt.

        At the end of its system prompt, where its caller marked it, where it parted from
        what is cached (others may part there too), and one token before its end, for an
        exact repeat.
        """
        last = len(self.sequence.to_prefill) - 1
        wanted = {mark.end for mark in self.marks} | {self.marked, hit.matched, last}
        return tuple(sorted(stop for stop in wanted if hit.tokens < stop <= last))

    def admitted(self) -> protocol.Prompt:
        """The first event of a job that has begun."""
        return protocol.Prompt(
            prompt_tokens=len(self.sequence.prompt),
            cached_tokens=self.sequence.cached,
            marked_tokens=self.marked,
        )

    def done(self, piece: Piece, now: float) -> protocol.Done:
        """The last event of an answer that ended with ``piece``."""
        assert piece.finish_reason is not None
        sequence = self.sequence
        first = sequence.first_token_at or now
        tokens, decode = len(sequence.generated), now - first
        return protocol.Done(
            finish_reason=piece.finish_reason,
            stop_string=self.text.stop_string if self.text else None,
            usage=protocol.Usage(
                prompt_tokens=len(sequence.prompt),
                completion_tokens=tokens,
                cached_tokens=sequence.cached,
                reasoning_tokens=self.text.reasoning_tokens if self.text else 0,
            ),
            timings=protocol.Timings(
                queued=(sequence.started_at or now) - sequence.submitted_at,
                time_to_first_token=first - sequence.submitted_at,
                decode=decode,
                tokens_per_second=(tokens - 1) / decode if decode > 0 else 0.0,
            ),
            speculation=protocol.Speculation(drafted=sequence.drafted, accepted=sequence.accepted)
            if sequence.drafted
            else None,
        )

    def warmed(self, entry_id: str) -> protocol.Warmed:
        """The last event of a warm-up."""
        return protocol.Warmed(
            entry_id=entry_id,
            tokens=len(self.sequence.prompt),
            cached_tokens=self.sequence.cached,
            seconds=time.monotonic() - self.sequence.submitted_at,
        )


def prompt_of(request: protocol.Generate, formatter: ChatFormatter) -> ChatPrompt:
    """What the model is to read. Raises InvalidRequest or ChatTemplateFailed."""
    if request.prompt is not None:
        return raw_prompt(request, formatter.tokenizer)
    return formatter.prompt(
        request.messages,
        tools=offered_tools(request),
        options=request.template_options,
        mark=request.cache_mark,
        continue_final=request.continue_final,
    )


def answer_job(
    request: protocol.Generate,
    call: Call,
    model: PooledModel,
    *,
    kv_budget: int,
    prompt: ChatPrompt | None = None,
) -> Job:
    """``prompt``: what ``prompt_of`` gives, where that was done already.

    Raises InvalidRequest, ContextLengthExceeded, InsufficientMemory or ChatTemplateFailed.
    """
    tools = offered_tools(request)
    prompt = prompt or prompt_of(request, model.formatter)
    room = _room(model, len(prompt.tokens), kv_budget)
    max_tokens = min(request.sampling.max_tokens or room, room)
    tokenizer = model.loaded.tokenizer
    guidance = guide(request, model, tools=tools, beginning=prompt.beginning, within=prompt.within)
    text = AnswerText(
        tokenizer,
        stops=request.sampling.stop,
        end_tokens=tokenizer.eos_token_ids,
        max_tokens=max_tokens,
        vocabulary=model.vocabulary if request.sampling.logprobs is not None else None,
        reader=guidance.reader,
        shown=guidance.shown,
        after=prompt.tokens[-_CONTEXT:] if prompt.within else (),
    )
    adapter = request.adapter.digest if request.adapter else None
    allowed = request.deadline_seconds
    sequence = Sequence(
        model=request.model.digest,
        client=request.client,
        prompt=prompt.tokens,
        max_tokens=max_tokens,
        namespace=_namespace(model.namespace, adapter, request.cache_salt),
        adapter=adapter,
        batch=request.priority == "batch",
        deadline=None if allowed is None else call.asked_at + allowed,
        scored=None if not request.score_prompt else request.sampling.logprobs,
    )
    sampler = _sampler(request.sampling, model, prompt.tokens, guidance.rule)
    scores = None
    if request.score_prompt:
        scores = PromptScores(prompt.tokens, model.vocabulary, scored=sequence.scored is not None)
    marks, marked = _marks(prompt), prompt.marked_tokens
    return Job(sequence, call, model, marks, sampler, text, scores, marked)


def warm_job(request: protocol.Warm, call: Call, model: PooledModel, *, kv_budget: int) -> Job:
    """Raises ContextLengthExceeded, InsufficientMemory or ChatTemplateFailed."""
    tokens = model.formatter.system_prefix(request.system_prompt)
    _room(model, len(tokens), kv_budget)
    preview = request.system_prompt[:PREVIEW_CHARACTERS]
    mark = Mark("system", len(tokens), preview, request.pinned)
    adapter = request.adapter.digest if request.adapter else None
    sequence = Sequence(
        model=request.model.digest,
        client="warm-up",
        prompt=tokens,
        max_tokens=0,
        namespace=_namespace(model.namespace, adapter, salt=""),
        adapter=adapter,
        batch=True,
    )
    return Job(sequence, call, model, (mark,), RowSampler(protocol.Sampling()), None)


def _sampler(
    sampling: protocol.Sampling, model: PooledModel, prompt: Tokens, rule: Rule | None
) -> RowSampler:
    """Raises InvalidRequest for a bias that does not fit the model."""
    if sampling.logit_bias:
        check_bias(sampling.logit_bias, len(model.vocabulary))
    return RowSampler(sampling, prompt=prompt, constraint=rule)


def _namespace(model: str, adapter: str | None, salt: str) -> str:
    """An adapter changes what KV is computed; a salt only who may see it."""
    if adapter is None and not salt:
        return model
    return hashlib.sha256(f"{model}|{adapter or ''}|{salt}".encode()).hexdigest()[: len(model)]


def _room(model: PooledModel, prompt: int, kv_budget: int) -> int:
    """Tokens left for an answer; raises where the prompt leaves none."""
    context = model.loaded.context_length
    if model.spec.context_limit is not None:
        context = min(context, model.spec.context_limit)
    if prompt >= context:
        raise ContextLengthExceeded(
            f"The prompt has {prompt} tokens; {model.spec.name} holds at most {context}, the "
            "answer included. Shorten the messages."
        )
    if prompt >= kv_budget:
        raise InsufficientMemory(
            f"The prompt has {prompt} tokens; there is memory for {kv_budget} of "
            f"{model.spec.name}. Unload other models, shorten the messages, or raise "
            "MLXHUB_MEMORY_CEILING_GB."
        )
    return min(context, kv_budget) - prompt


def _marks(prompt: ChatPrompt) -> tuple[Mark, ...]:
    conversation = Mark("conversation", len(prompt.tokens), prompt.preview)
    if not prompt.system_tokens:
        return (conversation,)
    return (Mark("system", prompt.system_tokens, prompt.system_preview), conversation)
