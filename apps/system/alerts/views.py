"""The Alerts page: what fires, what fired, the rules, and who is told."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.outgoing.errors import BadTarget
from apps.system.alerts import services
from apps.system.alerts.conditions import kind_of
from apps.system.alerts.evaluating import settings_of_rules
from apps.system.alerts.forms import RuleForm, WebhookForm
from apps.system.alerts.models import Alert, Delivery, Webhook

SHOWN = 50
"""Past alerts, and deliveries, on the page."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return _page(request, WebhookForm())


@require_POST
def change_rule(request: HttpRequest, kind: str) -> HttpResponse:
    """Switches a rule on or off, or sets from when it fires."""
    try:
        found = kind_of(kind)
    except KeyError as error:
        raise Http404 from error
    form = RuleForm(found, request.POST)
    if form.is_valid():
        services.change_rule(kind=found, **form.cleaned_data)
        messages.success(request, f"The rule {found.label} is changed.")
    else:
        messages.error(request, f"{found.label}: {form.problem}", extra_tags="in-page rules")
    return _back_to("rules")


@require_POST
@never_cache
def add_webhook(request: HttpRequest) -> HttpResponse:
    """Adds an address. The answer is the only page that ever shows its secret."""
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    try:
        made = services.add_webhook(
            url=form.cleaned_data["url"], allow_private=not settings.HUB.is_open
        )
    except BadTarget as error:  # its name means something else than a moment ago
        form.add_error("url", str(error))
        return _page(request, form)
    return _page(request, WebhookForm(), made=made)


@require_POST
def test_webhook(request: HttpRequest, key: int) -> HttpResponse:
    """Tells an address something now, and says how that went."""
    webhook = get_object_or_404(Webhook, pk=key)
    delivery = services.test_webhook(webhook=webhook)
    if delivery.state == Delivery.State.DELIVERED:
        messages.success(request, f"{webhook} heard the test.")
    else:
        problem = f"The test did not arrive. {delivery.error}"
        messages.error(request, problem, extra_tags="in-page webhooks")
    return _back_to("webhooks")


@require_POST
def remove_webhook(request: HttpRequest, key: int) -> HttpResponse:
    """Tells an address nothing any more."""
    webhook = get_object_or_404(Webhook, pk=key)
    services.remove_webhook(webhook=webhook)
    messages.success(request, f"{webhook} is told nothing any more.")
    return _back_to("webhooks")


def _back_to(section: str) -> HttpResponse:
    """The page at this section, which has the messages tagged with its name."""
    return redirect(f"{reverse('system:alerts')}#{section}")


def _page(request: HttpRequest, form: WebhookForm, *, made: Webhook | None = None) -> HttpResponse:
    context: dict[str, Any] = {
        "tab": "alerts",
        "firing": Alert.objects.firing(),
        "past": Alert.objects.past()[:SHOWN],
        "rules": settings_of_rules(),
        "form": form,
        "made": made,
        "webhooks": Webhook.objects.all(),
        "deliveries": Delivery.objects.select_related("webhook")[:SHOWN],
    }
    return render(request, "system/alerts.html", context)
