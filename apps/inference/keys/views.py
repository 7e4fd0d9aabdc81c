"""The Keys page: make a key and see it once, list keys, revoke them."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.identity import identity_of
from apps.inference.keys.forms import KeyForm
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import create_key, revoke_key


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The keys, and the form for a new one."""
    return _page(request, KeyForm())


@require_POST
@never_cache
def create(request: HttpRequest) -> HttpResponse:
    """Makes a key. The answer is the only page that ever shows it, so it is no redirect."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    key, text = create_key(**form.wanted, user_id=identity_of(request).actor.user_id)
    return _page(request, KeyForm(), made=key, text=text)


@require_POST
def revoke(request: HttpRequest, key: int) -> HttpResponse:
    """Lets nobody in with the key any more."""
    row = get_object_or_404(ApiKey.objects.shown_to(identity_of(request)), pk=key)
    revoke_key(row)
    messages.success(request, f"{row.name} is revoked.")
    return redirect("keys:home")


def _page(
    request: HttpRequest, form: KeyForm, *, made: ApiKey | None = None, text: str = ""
) -> HttpResponse:
    keys = ApiKey.objects.shown_to(identity_of(request))
    context = {
        "form": form,
        "keys": keys.select_related("user").prefetch_related("allowed_models"),
        "made": made,
        "text": text,
        "required": settings.HUB.keys_required,
    }
    return render(request, "keys/home.html", context)
