"""Tags and filters of the shell: sidebar, icons, and numbers as the pages write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from apps.accounts.roles import Role
from apps.audit.actors import current_actor
from apps.observability.ids import current_request_id
from apps.system.navigation import SECTIONS

register = template.Library()

_SCALES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_CODE = re.compile(r"`([^`]+)`")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


@register.inclusion_tag("components/sidebar.html", takes_context=True)
def sidebar(context: Context) -> dict[str, Any]:
    """The sidebar, with the section of the page marked. Works without a request, as in 500.html."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    visitor = context.get("visitor")
    sections = [s for s in SECTIONS if visitor is None or s.is_open_to(visitor["role"])]
    return {
        "sections": sections,
        "current_app": match.app_name if match else None,
        "current_page": match.view_name if match else None,
        "visitor": visitor,
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("components/request_reference.html", takes_context=True)
def request_reference(context: Context) -> dict[str, Any]:
    """The request's id, for whoever reports a failure; to who may read the logs, a link to them.

    Works without a request, as in 500.html: then only the owner at this machine is known.
    """
    visitor = context.get("visitor")
    role = visitor["role"] if visitor else None
    is_owner = role is Role.OWNER or current_actor().kind == "owner"
    return {"request_id": current_request_id(), "is_owner": is_owner}


@register.simple_tag
def navigation_sections() -> tuple[Any, ...]:
    return SECTIONS


@register.inclusion_tag("components/icon.html")
def icon(name: str) -> dict[str, str]:
    """An icon of static/icons.svg; decorative, so a word always stands beside it."""
    return {"name": name}


@register.filter
def scaled(number: int) -> str:
    """A count in at most three digits: 134515008 becomes ``135M``, 7241732096 ``7.24B``."""
    for scale, letter in _SCALES:
        if number >= scale:
            value = number / scale
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            figure = f"{value:.{digits}f}"
            return f"{figure.rstrip('0').rstrip('.') if digits else figure}{letter}"
    return str(number)


@register.filter
def thousands(number: int) -> str:
    """A whole number with separators: ``8192`` becomes ``8,192``."""
    return f"{number:,}"


@register.filter
def percent(fraction: float) -> str:
    """A fraction as a whole percentage: ``0.876`` becomes ``88%``."""
    return f"{fraction:.0%}"


@register.filter
def code_spans(text: object) -> SafeString:
    """Text with what stands in backticks as code. Everything is escaped first."""
    escaped = conditional_escape(str(text))
    return mark_safe(_CODE.sub(r"<code>\1</code>", escaped))  # noqa: S308


@register.simple_tag
def ago(epoch: float) -> SafeString:
    """How long before now a moment (seconds since the epoch) was, with the moment as its title."""
    moment = datetime.fromtimestamp(epoch, UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        moment.isoformat(timespec="seconds"),
        moment.strftime("%-d %B %Y %H:%M:%S"),
        _ago((timezone.now() - moment).total_seconds()),
    )


def _ago(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
