"""The totals as stat tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.inference.benchmarks.charts import rate, seconds
from apps.rendering.tiles import Tile


def tiles(totals: Mapping[str, Any]) -> list[Tile]:
    """``totals``: as RequestRecord.objects.totals() gives them."""
    prompt, cached = totals["prompt_tokens"], totals["cached_tokens"]
    share = f"{cached / prompt:.0%} from the cache" if prompt else ""
    failed = totals["failed"]
    ttft, speed = totals["time_to_first_token"], totals["tokens_per_second"]
    return [
        Tile("Requests", f"{totals['requests']:,}", f"{failed:,} failed or refused"),
        Tile("Prompt tokens", f"{prompt:,}", share),
        Tile("Answer tokens", f"{totals['completion_tokens']:,}"),
        Tile("TTFT, mean", "none" if ttft is None else seconds(ttft)),
        Tile("Tokens/s, mean", "none" if speed is None else rate(speed)),
    ]
