"""Filters of the Discover pages."""

from __future__ import annotations

from django import template
from django.urls import reverse

from apps.discovery.presentation import SearchAddress
from apps.discovery.sizes import readable

register = template.Library()


@register.filter
def gigabytes(nbytes: int) -> str:
    """Bytes as the hub counts them, in powers of ten: ``4283000000`` becomes ``4.3 GB``."""
    return readable(nbytes)


@register.filter
def further(address: SearchAddress, cursor: str) -> str:
    """The query of the same search from ``cursor`` on."""
    return address.further(cursor)


@register.simple_tag
def repo_url(repo_id: str) -> str:
    """The address of the page of a repository ``owner/name``."""
    owner, _, name = repo_id.partition("/")
    return reverse("discover:model", args=[owner, name])
