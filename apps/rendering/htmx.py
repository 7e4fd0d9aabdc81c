"""A request as django-htmx's middleware hands it on, and addresses that are for htmx alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django_htmx.middleware import HtmxDetails

View = TypeVar("View", bound=Callable[..., HttpResponse])


class HtmxHttpRequest(HttpRequest):
    """For views that answer htmx with a part of the page."""

    htmx: HtmxDetails


def part_of(page: str) -> Callable[[View], View]:
    """For a view that answers with nothing but a part of ``page`` (a URL name).

    Its address is for the page's own requests, which say ``HX-Request``. A browser that opens
    it is sent to the page, which takes the same values in its address. A test lists all such
    views by their ``part_of`` (mlxhub_site/tests/test_parts.py).
    """

    def guarding(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **named: Any) -> HttpResponse:
            if "HX-Request" in request.headers:
                return view(request, **named)
            try:
                return HttpResponseRedirect(reverse(page, kwargs=named))
            except NoReverseMatch as error:  # values that no page has in its address
                raise Http404("There is no such page.") from error

        guarded.part_of = page  # type: ignore[attr-defined]
        return cast("View", guarded)

    return guarding
