"""Filters of what shows downloads."""

from __future__ import annotations

import math

from django import template

register = template.Library()

_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


@register.filter
def duration(seconds: float) -> str:
    """A stretch of time in its two largest units: ``5400`` becomes ``1 h 30 min``."""
    whole = math.ceil(seconds)
    for scale, unit, part, part_unit in _UNITS:
        if whole >= scale:
            rest = whole % scale // part
            return f"{whole // scale} {unit}" + (f" {rest} {part_unit}" if rest else "")
    return f"{whole} s"
