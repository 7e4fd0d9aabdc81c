"""Ratings and corrections in a chat, and the page that makes a dataset of chats."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.datasets.authors import author_of
from apps.datasets.errors import DatasetError
from apps.datasets.models import DatasetJob
from apps.datasets.shown import shown
from apps.playground import services as chats
from apps.playground.collecting import services
from apps.playground.collecting.forms import CorrectionForm, PickForm, RatingForm, TargetForm
from apps.playground.collecting.rows import ORIGIN
from apps.playground.collecting.services import Collection, Picked
from apps.playground.errors import PlaygroundError
from apps.playground.models import Conversation, Message
from apps.playground.pages import render_page
from apps.playground.views import done, message_of
from apps.rendering.htmx import HtmxHttpRequest
from apps.uploads.pieces import UploadRefused

LISTED = 100
"""Conversations that the page offers; the search finds the others."""

_PREVIEWED = 3
_UP = Q(messages__rating=Message.Rating.UP)
_CORRECTED = Q(messages__corrects__isnull=False)


@require_POST
def rate(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Good, bad, or taken back."""
    answer = message_of(pk, role=Message.Role.ASSISTANT)
    form = RatingForm(request.POST)
    if form.is_valid():
        chats.rate(answer=answer, rating=form.cleaned_data["rating"])
    return done(request, answer)


@require_POST
def correct(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """The answer as it should have been, as another version of it."""
    answer = message_of(pk, role=Message.Role.ASSISTANT)
    form = CorrectionForm(request.POST)
    if not form.is_valid():
        return render_page(request, answer.conversation, 422, problem=form.errors["content"][0])
    try:
        return done(request, chats.correct(answer=answer, content=form.cleaned_data["content"]))
    except PlaygroundError as error:
        return render_page(request, answer.conversation, 409, problem=str(error))


@require_http_methods(["GET", "HEAD", "POST"])
def collect(request: HtmxHttpRequest) -> HttpResponse:
    """Choose conversations and see what rows come of them; a post makes the dataset."""
    asked = request.POST if request.method == "POST" else request.GET
    form = PickForm(asked)
    picked = form.picked if form.is_valid() else Picked()
    target = TargetForm(
        request.POST if request.method == "POST" else None,
        initial={"dataset": request.GET.get("dataset", ""), "name": request.GET.get("name", "")},
        kind=picked.kind,
    )
    problem = ""
    if request.method == "POST" and form.is_valid() and target.is_valid():
        try:
            return redirect(_ordered(picked, target, author_of(request)).dataset)
        except (DatasetError, UploadRefused) as error:
            problem = str(error)
    collection = services.collect(picked)
    context = _context(picked, collection) | {"pick": form, "target": target, "problem": problem}
    if request.htmx.target == "collected":
        return render(request, "playground/collect.html#collected", context)
    status = 422 if request.method == "POST" else 200
    return render(
        request, "playground/collect.html", context | _offered(request, picked), status=status
    )


def _ordered(picked: Picked, target: TargetForm, by: str) -> DatasetJob:
    values = target.cleaned_data
    if values["dataset"]:
        return services.add_to_dataset(picked=picked, dataset=values["dataset"], by=by)
    return services.make_dataset(picked=picked, name=values["name"], by=by)


def _context(picked: Picked, collection: Collection) -> dict[str, Any]:
    rows = collection.rows[:_PREVIEWED]
    plain = [{name: value for name, value in row.items() if name != ORIGIN} for row in rows]
    return {
        "picked": picked,
        "collection": collection,
        "previews": [shown(row) for row in plain],
        "count": len(collection.rows),
    }


def _offered(request: HttpRequest, picked: Picked) -> dict[str, Any]:
    """The conversations to choose from: those that are chosen, and the latest that match."""
    words = request.GET.get("q", "").strip()[:200]
    counted = Conversation.objects.annotate(
        liked=Count("messages", filter=_UP, distinct=True),
        corrected=Count("messages", filter=_CORRECTED, distinct=True),
    )
    chosen = list(counted.filter(pk__in=picked.conversations))
    others = counted.matching(words).exclude(pk__in=picked.conversations)
    return {
        "words": words,
        "chosen": {conversation.pk for conversation in chosen},
        "offered": chosen + list(others[:LISTED]),
        "all_count": Conversation.objects.count(),
    }
