"""Documents by how likely a chat model says "yes" to them. No vectors are made.

The model reads the query and one document at a time and may answer "yes" or "no" alone. A
document's score is P(yes) / (P(yes) + P(no)), the model's own probabilities before sampling:
a grammar makes it write each of the two words once, and what they took is their log
probability. The prompt is that of Qwen3-Reranker, which was trained on it; other chat
models understand it, the larger the better.
https://huggingface.co/Qwen/Qwen3-Reranker-0.6B
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from apps.inference.api.answer_parts import Answer, Said
from apps.inference.api.bounds import OutOfBounds, check_size
from apps.inference.api.generation import answers
from apps.inference.api.ranking import ranking
from apps.inference.api.schemas.embedding import EmbeddingUsage, Ranking, RerankRequest
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import (
    Detokenize,
    Generate,
    Grammar,
    Message,
    Sampling,
    Text,
    Tokenize,
    Tokens,
)
from apps.inference.services import ModelUnsuitable, NamedModel
from apps.inference.usage.tally import current_tally

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"

_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
_WORDS = ("yes", "no")

_MOST_TOKENS = 8
"""For one of the words; a model that needs more is thinking."""


async def rank_by_likelihood(
    engine: AsyncEngineClient, payload: RerankRequest, model: NamedModel, *, client: str
) -> Ranking:
    """Raises EngineError, OutOfBounds, or ModelUnsuitable for a model that thinks first."""
    check_size([payload.query, *payload.texts], param="documents")
    documents = payload.texts
    if payload.max_tokens_per_doc is not None:
        documents = [
            await _shortened(engine, model, each, payload.max_tokens_per_doc) for each in documents
        ]
    asked = [
        _question(model, payload.query, document, word, client=client)
        for document in documents
        for word in _WORDS
    ]
    try:
        heard = await _heard(engine, asked)
    except EngineError as error:
        if error.code == "context_length_exceeded":
            raise OutOfBounds(
                f"A document is too long. {error.message} Or let documents be cut with "
                "max_tokens_per_doc.",
                param="documents",
                code=error.code,
            ) from error
        raise
    said = [_log_probability(answer, model) for answer in heard]
    scores = [_share(yes, no) for yes, no in zip(said[::2], said[1::2], strict=True)]
    return ranking(payload, model.name, scores, _usage(model, heard))


def _question(model: NamedModel, query: str, document: str, word: str, *, client: str) -> Generate:
    """What makes the model say ``word``. The query comes first: its KV serves all documents."""
    text = f"<Instruct>: {INSTRUCTION}\n\n<Query>: {query}\n\n<Document>: {document}"
    return Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        messages=(Message(role="system", content=_SYSTEM), Message(role="user", content=text)),
        template_options={"enable_thinking": False},
        sampling=Sampling(
            temperature=0.0,
            max_tokens=_MOST_TOKENS,
            logprobs=0,
            grammar=Grammar(kind="regex", text=word),
        ),
        client=client,
    )


async def _heard(engine: AsyncEngineClient, asked: Sequence[Generate]) -> list[Answer]:
    heard = [Answer() for _ in asked]
    async with answers(engine, asked) as events:
        async for index, event in events:
            heard[index].hear(event)
    return heard


def _log_probability(answer: Answer, model: NamedModel) -> float:
    """Of the word that the answer is. Raises ModelUnsuitable where it is none."""
    said = [part for part in answer.parts if isinstance(part, Said)]
    if answer.ended.finish_reason != "stop" or not said:
        raise ModelUnsuitable(
            f"{model.name} thinks before it answers, whatever it is asked, and can't say yes or "
            "no at once. Name another chat model, or an embedding model."
        )
    return sum(token.logprob for part in said for token in part.logprobs)


def _usage(model: NamedModel, heard: Sequence[Answer]) -> EmbeddingUsage:
    """Each document's prompt counts once, though it is asked twice."""
    prompts = [answer.ended.usage.prompt_tokens for answer in heard[:: len(_WORDS)]]
    # The tally knows of answers that share a prompt, not of several prompts.
    current_tally().counted(sum(prompts) - max(prompts), model=model.spec.name)
    return EmbeddingUsage(prompt_tokens=sum(prompts), total_tokens=sum(prompts))


def _share(yes: float, no: float) -> float:
    """P(yes) / (P(yes) + P(no)), of log probabilities."""
    # Beyond 700 the exponential is out of a float's range; the share is 0 long before.
    return 1 / (1 + math.exp(min(no - yes, 700.0)))


async def _shortened(engine: AsyncEngineClient, model: NamedModel, document: str, most: int) -> str:
    """The document's first ``most`` tokens."""
    asked = Tokenize(model=model.spec, text=document, add_special_tokens=False)
    tokens = (await engine.call(asked, Tokens)).tokens
    if len(tokens) <= most:
        return document
    return (await engine.call(Detokenize(model=model.spec, tokens=tokens[:most]), Text)).text
