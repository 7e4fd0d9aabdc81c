"""Vectors of texts, and texts in the order of a question. Extensions are marked.

https://platform.openai.com/docs/api-reference/embeddings
https://docs.cohere.com/reference/rerank, which Jina and vLLM share
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, field_validator

from apps.inference.api.schemas.completion_request import TokenIds, as_prompts
from apps.inference.api.schemas.fields import StrictRequest, invalid

MAX_INPUTS = 2048
"""As in OpenAI's API."""

MAX_DOCUMENTS = 1000
"""As in Cohere's API."""


_Text = Annotated[str, Field(min_length=1)]

Texts = Annotated[
    list[Any],
    BeforeValidator(
        as_prompts,
        json_schema_input_type=_Text
        | Annotated[list[_Text], Field(min_length=1, max_length=MAX_INPUTS)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_INPUTS)],
    ),
]
"""One or several texts with something in them, as such or as their tokens."""

DocumentText = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})]


class EmbeddingRequest(StrictRequest):
    model: str = Field(min_length=1, description="An embedding model; /v1/models tells them apart.")
    input: Texts = Field(description="Texts, as such or as tokens: 2048 at most.")
    encoding_format: Literal["float", "base64"] | None = Field(
        default=None, description="base64: little-endian float32."
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        description="Keep this many numbers of each vector. Only models trained for it keep "
        "their meaning.",
    )
    user: str | None = None
    input_type: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Extension. What the texts are, such as `query` or `document`, for models "
        "that make a difference.",
    )
    truncate_prompt_tokens: int | None = Field(
        default=None,
        ge=-1,
        description="Extension. Cut texts to so many tokens; -1: to what the model takes. Left "
        "out, a text that is too long is refused.",
        json_schema_extra={"not": {"const": 0}},
    )

    @field_validator("input")
    @classmethod
    def _can_be_embedded(cls, value: list[Any]) -> list[Any]:
        if len(value) > MAX_INPUTS:
            raise invalid(f"There are {len(value)} texts; at most {MAX_INPUTS} are taken at once.")
        for index, text in enumerate(value):
            if not text:
                raise invalid(f"The text {index} is empty. Leave it out.")
        return value

    @field_validator("truncate_prompt_tokens")
    @classmethod
    def _leaves_something(cls, value: int | None) -> int | None:
        if value == 0:
            raise invalid("Input should be -1, or at least 1.")
        return value


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="Numbers, or base64 where that is asked for.")


class EmbeddingList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class Document(StrictRequest):
    text: str = Field(min_length=1)


class RerankRequest(StrictRequest):
    model: str = Field(
        min_length=1,
        description="An embedding model, which compares meanings, or a chat model, which is "
        "asked about each document whether it answers the query.",
    )
    query: str = Field(min_length=1)
    documents: list[DocumentText | Document] = Field(min_length=1, max_length=MAX_DOCUMENTS)
    top_n: int | None = Field(default=None, ge=1, description="Send the best so many; all of them.")
    return_documents: bool | None = Field(default=None, description="Send their texts back, too.")
    max_tokens_per_doc: int | None = Field(
        default=None,
        ge=1,
        description="Cut documents to so many tokens, or to what an embedding model takes.",
    )
    user: str | None = None

    @field_validator("documents")
    @classmethod
    def _say_something(cls, value: list[str | Document]) -> list[str | Document]:
        for index, document in enumerate(value):
            if document == "":
                raise invalid(f"The document {index} is empty. Leave it out.")
        return value

    @property
    def texts(self) -> list[str]:
        return [each if isinstance(each, str) else each.text for each in self.documents]


class RankedDocument(BaseModel):
    index: int = Field(description="In the request's documents, from 0.")
    relevance_score: float = Field(
        description="By an embedding model: the cosine of the vectors' angle, -1 to 1. By a chat "
        "model: how likely it says yes rather than no, 0 to 1."
    )
    document: Document | None = None


class Ranking(BaseModel):
    id: str
    model: str
    results: list[RankedDocument] = Field(description="The most relevant first.")
    usage: EmbeddingUsage
