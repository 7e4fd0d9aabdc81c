"""The Keys page: make a key and see it once, list keys, revoke them."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.inference.keys.forms import KeyForm
from apps.inference.keys.models import ApiKey
from apps.inference.keys.owner import owner_only
from apps.inference.keys.services import create_key


@require_safe
@owner_only
def home(request: HttpRequest) -> HttpResponse:
    """The keys, and the form for a new one."""
    return _page(request, KeyForm())


@require_POST
@owner_only
@never_cache
def create(request: HttpRequest) -> HttpResponse:
    """Makes a key. The answer is the only page that ever shows it, so it is no redirect."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    key, text = create_key(**form.wanted)
    return _page(request, KeyForm(), made=key, text=text)


@require_POST
@owner_only
def revoke(request: HttpRequest, key: int) -> HttpResponse:
    """Lets nobody in with the key any more."""
    row = get_object_or_404(ApiKey, pk=key)
    row.revoke()
    messages.success(request, f"{row.name} is revoked.")
    return redirect("keys:home")


def _page(
    request: HttpRequest, form: KeyForm, *, made: ApiKey | None = None, text: str = ""
) -> HttpResponse:
    context = {
        "form": form,
        "keys": ApiKey.objects.prefetch_related("allowed_models"),
        "made": made,
        "text": text,
        "required": settings.HUB.keys_required,
    }
    return render(request, "keys/home.html", context)
