"""Sizes of files, as every page writes them; memory is shown in powers of two."""

from __future__ import annotations

from django import template

from apps.models.sizes import readable

register = template.Library()


@register.filter
def gigabytes(nbytes: float) -> str:
    """Bytes of files in powers of ten: ``4283000000`` becomes ``4.3 GB``."""
    return readable(nbytes)
