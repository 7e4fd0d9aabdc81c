"""The pages where several models answer the same, and what can be done on them."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.playground.compare import services
from apps.playground.compare.choosing import names_posted
from apps.playground.compare.forms import (
    ColumnForm,
    SystemPromptForm,
    column_forms,
    columns_of,
    new_columns,
)
from apps.playground.compare.models import Comparison
from apps.playground.compare.pages import (
    arranged_page,
    comparison_page,
    new_page,
    rounds_context,
)
from apps.playground.errors import PlaygroundError
from apps.playground.forms import MessageForm
from apps.playground.models import Message
from apps.rendering.htmx import HtmxHttpRequest

_GONE = "A model chosen here is not on this hub any more, so nothing was asked. Choose again."


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def home(request: HtmxHttpRequest) -> HttpResponse:
    """A new comparison; it is stored with its first question. ``?models=a,b`` names the columns.

    A POST gets the same page with a column more or fewer, before that question.
    """
    return arranged_page(request) if request.method == "POST" else new_page(request)


@require_POST
def start(request: HtmxHttpRequest) -> HttpResponse:
    """The first question."""
    names = names_posted(request.POST)
    columns = new_columns(names)
    forms = column_forms(columns, request.POST)
    system, message = SystemPromptForm(request.POST), MessageForm(request.POST)
    gone = len(columns) < len(names)
    if gone or not forms or not all(form.is_valid() for form in (*forms, system, message)):
        filled = {"message_form": message, "system_form": system} | (
            {"forms": forms} if forms else {}
        )
        problem = _first_error(forms) or (_GONE if gone else "")
        return new_page(request, 422, columns=columns, **filled, problem=problem)
    comparison = services.start_comparison(
        columns=[form.column for form in forms],
        system_prompt=system.cleaned_data["system_prompt"],
        content=message.cleaned_data["content"],
    )
    return redirect(comparison)


@require_GET
@never_cache
def comparison(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Its questions and answers, the running ones followed."""
    return comparison_page(request, _comparison(pk))


@require_POST
def send(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """The next question, to the columns as they stand in the form."""
    one = _comparison(pk)
    forms = column_forms(columns_of(one), request.POST)
    message = MessageForm(request.POST)
    if not all(form.is_valid() for form in (*forms, message)):
        return comparison_page(
            request, one, 422, forms=forms, message_form=message, problem=_first_error(forms)
        )
    try:
        services.change_columns(comparison=one, columns=[form.column for form in forms])
        services.ask(comparison=one, content=message.cleaned_data["content"])
    except PlaygroundError as error:
        return comparison_page(request, one, 409, message_form=message, problem=str(error))
    return _done(request, one)


@require_POST
def stop(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """End what is being written in all columns."""
    one = _comparison(pk)
    services.stop_all(comparison=one)
    return _done(request, one)


@require_POST
def vote(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Call an answer the better one; asked again, take that back."""
    answer = get_object_or_404(Message.objects.answers(), pk=pk, column_answer__isnull=False)
    if answer.rating == Message.Rating.UP:
        services.take_back(answer=answer)
    elif answer.is_whole:
        services.vote(answer=answer)
    return _done(request, _comparison(answer.conversation_id))


@require_POST
def retry(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask the column of an answer that fell short once more, as it stands in the form."""
    answer = get_object_or_404(Message.objects.answers(), pk=pk, column_answer__isnull=False)
    one = _comparison(answer.conversation_id)
    # Without scripts the button sends no columns, and they stay as they are.
    forms = column_forms(columns_of(one), request.POST) if "c0-name" in request.POST else []
    if not all(form.is_valid() for form in forms):
        return comparison_page(request, one, 422, problem=_first_error(forms))
    try:
        if forms:
            services.change_columns(comparison=one, columns=[form.column for form in forms])
        services.retry(answer=answer)
    except PlaygroundError as error:
        return comparison_page(request, one, 409, problem=str(error))
    return _done(request, one)


@require_GET
@never_cache
def finished(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """One answer as it stands, for the page that has followed it to its end."""
    message = get_object_or_404(Message.objects.answers(), pk=pk, column_answer__isnull=False)
    one = _comparison(message.conversation_id)
    if not request.htmx:
        return redirect(one)
    context = rounds_context(one)
    for round_ in context["rounds"]:
        for answer in round_.answers:
            if answer.turn.message.pk == pk:
                context |= {"round": round_, "answer": answer}
    return render(request, "compare/comparison.html#finished", context)


def _comparison(pk: UUID) -> Comparison:
    return get_object_or_404(Comparison.objects.select_related("conversation"), pk=pk)


def _done(request: HtmxHttpRequest, one: Comparison) -> HttpResponse:
    return comparison_page(request, _comparison(one.pk)) if request.htmx else redirect(one)


def _first_error(forms: list[ColumnForm]) -> str:
    """A mistake in a column's settings, in one line; empty for none."""
    for position, form in enumerate(forms, start=1):
        for name, errors in form.errors.items():
            return f"Column {position}, {form[name].label}: {errors[0]}"
    return ""
