"""Sizes of files, as every page writes them; memory is shown in powers of two."""

from __future__ import annotations

from django import template
from django.template.defaultfilters import filesizeformat

from apps.models.sizes import readable

register = template.Library()

_FEW = 64 * 1024


@register.filter
def memory(nbytes: int) -> str:
    """Bytes of memory in powers of two; the few that MLX keeps for itself are none."""
    return str(filesizeformat(nbytes)) if nbytes >= _FEW else "0\xa0MB"


@register.filter
def gigabytes(nbytes: float) -> str:
    """Bytes of files in powers of ten: ``4283000000`` becomes ``4.3 GB``."""
    return readable(nbytes)
