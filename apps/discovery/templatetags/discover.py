"""Filters and tags of the Discover pages."""

from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.http import urlencode

from apps.discovery.finding import Found
from apps.discovery.listing import ListedModel, is_repo_id
from apps.discovery.presentation import SearchAddress
from apps.discovery.wanted import Wanted
from apps.models.fit import Fit, Machine, rough_fit
from apps.models.runtime.memory import Weights

register = template.Library()


@register.filter
def fit_on(model: ListedModel, machine: Machine) -> Fit | None:
    """Whether a listed model fits, by its summary; None where that does not tell its size."""
    if not model.parameters or not model.weight_bytes:
        return None
    return rough_fit(Weights(model.parameters, model.weight_bytes), machine)


@register.filter
def further(address: SearchAddress, cursor: str) -> str:
    """The query of the same search from ``cursor`` on."""
    return address.further(cursor)


@register.simple_tag
def sifted(found: Found, wanted: Wanted) -> str:
    """What was looked at here, where the hub can't search for all that is wanted; else nothing."""
    if not wanted.sifts:
        return ""
    return (
        "Parameters, size and quantisation are sifted here, by the models' summaries: "
        f"looked at {found.looked_at:,}, {len(found.models):,} fit."
    )


@register.filter
def row_range(category: str) -> str:
    """A size category as people write it: "10K<n<100K" as "10K to 100K"."""
    least, _, most = category.partition("<n<")
    if most:
        return f"{least} to {most}"
    return category.replace("n<", "under ").replace("n>", "over ")


@register.simple_tag
def repo_url(repo_id: str, repo_type: str = "model") -> str:
    """The address of the page of a repository ``owner/name``; of a search, for other names."""
    if not is_repo_id(repo_id):
        return f"{reverse('discover:home')}?{urlencode({'q': repo_id})}"
    owner, _, name = repo_id.partition("/")
    return reverse(f"discover:{repo_type}", args=[owner, name])
