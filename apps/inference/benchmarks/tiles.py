"""A run's headline figures as stat tiles."""

from __future__ import annotations

from django.template.defaultfilters import filesizeformat

from apps.inference.benchmarks.charts import TURN_LABELS, Measured, rate, seconds
from apps.inference.benchmarks.measuring.figures import FirstToken
from apps.rendering.tiles import Tile


def tiles(one: Measured) -> list[Tile]:
    """Times to first token, throughput alone and in company, memory."""
    shown = [_turn_tile(one, figure) for figure in one.figures.first_token]
    levels = one.figures.throughput
    ends = [levels[0]] if len(levels) == 1 else [levels[0], levels[-1]]
    for level in ends:
        words = f"{level.clients} client{'' if level.clients == 1 else 's'}"
        note = f"p95 between tokens {seconds(level.gap_p95.median)}"
        shown.append(Tile(f"Tokens/s, {words}", rate(level.tokens_per_second.median), note))
    if one.run.peak_memory_bytes is not None:
        memory = filesizeformat(one.run.peak_memory_bytes)
        shown.append(Tile("Peak memory", memory, "of the engine, during the run"))
    else:
        reason = "another server does not tell it" if one.run.base_url else "the engine was down"
        shown.append(Tile("Peak memory", "unknown", reason))
    return shown


def _turn_tile(one: Measured, figure: FirstToken) -> Tile:
    median = figure.seconds.median
    cached = figure.cached_tokens
    note = "" if cached is None else f"{cached:,} tokens cached"
    if figure.turn == "warm" and one.target is not None:
        held = median < one.target
        verdict = f"{'below' if held else 'above'} the target of {seconds(one.target)}"
        note = f"{note}; {verdict}" if note else verdict
        return Tile(
            f"TTFT, {TURN_LABELS[figure.turn].lower()}",
            seconds(median),
            note,
            "ok" if held else "warn",
        )
    return Tile(f"TTFT, {TURN_LABELS[figure.turn].lower()}", seconds(median), note)
