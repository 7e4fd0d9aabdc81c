"""What the work process says, one event a line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Measured(_Frozen):
    """What one model's files weigh and how it does on the fixed text."""

    size_bytes: int = Field(description="Bytes of the weight files.")
    bits_per_weight: float
    perplexity: float | None = Field(
        default=None, description="On the hub's own fixed text; null: not measured."
    )
    tokens_per_second: float | None = Field(
        default=None, description="Decoding one sequence; null: not measured."
    )
    note: str = Field(default="", description="Why it was not measured; empty: it was.")


class Figures(_Frozen):
    """What an order changed, as far as it was measured."""

    before: Measured | None = None
    after: Measured | None = None
    size_bytes: int | None = Field(default=None, description="Of the file that was written.")


class Progress(_Frozen):
    """``doing``: the present stage, in words. ``fraction``: how far the order is, 0.0 to 1.0."""

    event: Literal["progress"] = "progress"
    doing: str
    fraction: float


class Finished(_Frozen):
    """The order was carried out; the last event."""

    event: Literal["finished"] = "finished"
    figures: Figures


class Failed(_Frozen):
    """``message`` says what happened, why, and what to do."""

    event: Literal["failed"] = "failed"
    message: str


Event = Progress | Finished | Failed

event_adapter: TypeAdapter[Event] = TypeAdapter(
    Annotated[Progress | Finished | Failed, Field(discriminator="event")]
)
