"""A request as django-htmx's middleware hands it on."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class HtmxHttpRequest(HttpRequest):
    """For views that answer htmx with a part of the page."""

    htmx: HtmxDetails
