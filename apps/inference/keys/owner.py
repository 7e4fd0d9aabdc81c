"""Pages that are the owner's alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def owner_only(view: View) -> View:
    """The page for whoever sits at this machine.

    Where API calls need a key, others can reach the hub; then it takes a sign-in of the
    admin's staff, or anybody could make a key.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if settings.HUB.keys_required and not _is_staff(request):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return view(request, *args, **kwargs)

    return cast(View, guarded)


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff
