"""Tokens of texts and texts of tokens, as vLLM's server has them.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#tokenizer-api
"""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
)

from apps.inference.api.schemas.chat_request import ChatMessage
from apps.inference.api.schemas.fields import StrictRequest, invalid, whole
from apps.inference.api.schemas.tools import ChatTool

MAX_TOKENS = 4_000_000
"""Of one text to be made."""


class TokenizeRequest(StrictRequest):
    model: str = Field(min_length=1)
    prompt: str | None = Field(default=None, description="A text; or else give messages.")
    messages: list[ChatMessage] | None = Field(
        default=None,
        min_length=1,
        validate_default=True,
        description="A conversation, as the model would read it.",
    )
    tools: list[ChatTool] | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None
    add_special_tokens: bool = Field(
        default=True, description="Of a text; a conversation has those of its template."
    )
    return_token_strs: bool | None = Field(default=None, description="Tell the tokens' texts, too.")

    @field_validator("messages")
    @classmethod
    def _asks_one_thing(
        cls, value: list[ChatMessage] | None, info: ValidationInfo
    ) -> list[ChatMessage] | None:
        if "prompt" in info.data and (value is None) == (info.data["prompt"] is None):
            raise invalid("Give either prompt or messages.")
        return value


class Tokenized(BaseModel):
    count: int
    max_model_len: int = Field(description="Longest context of the model, in tokens.")
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizeRequest(StrictRequest):
    model: str = Field(min_length=1)
    tokens: list[Annotated[int, BeforeValidator(whole)]] = Field(max_length=MAX_TOKENS)


class Detokenized(BaseModel):
    prompt: str
