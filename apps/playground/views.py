"""The playground's pages, and what can be done on them.

Every action works as a plain form post, which ends in the conversation's page,
and as an htmx request, which gets the messages alone.
"""

from __future__ import annotations

from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import aget_object_or_404, get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.playground import answers, services, streams
from apps.playground.errors import PlaygroundError
from apps.playground.forms import MessageForm, SettingsForm, TitleForm
from apps.playground.mirrors import mirror
from apps.playground.models import Conversation, Message
from apps.playground.pages import (
    conversation_context,
    fresh_conversation,
    render_page,
)
from apps.playground.saving import file_name, markdown_of
from apps.playground.tree import MessageTree
from apps.rendering.htmx import HtmxHttpRequest

_UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


# --- pages --------------------------------------------------------------------


@require_GET
@never_cache
def home(request: HtmxHttpRequest) -> HttpResponse:
    """A new conversation; it is stored with its first message."""
    return render_page(
        request, None, settings_form=SettingsForm(instance=fresh_conversation(request))
    )


@require_GET
@never_cache
def conversation(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """A conversation's branch on show. ``?edit`` and ``?delete`` name a message to do that to."""
    return render_page(request, get_object_or_404(Conversation, pk=pk))


@require_GET
def markdown(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The branch on show as a Markdown file."""
    chat = get_object_or_404(Conversation, pk=pk)
    branch = MessageTree(chat.messages.all()).path(chat.active_leaf_id)
    return HttpResponse(
        markdown_of(chat, branch),
        content_type="text/markdown; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name(chat)}"'},
    )


@require_GET
@never_cache
def message(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """One message as it stands, for the page that has followed it to its end."""
    one = get_object_or_404(Message.objects.select_related("conversation"), pk=pk)
    if not request.htmx:
        return redirect(_place(one))
    context = conversation_context(request, one.conversation)
    context["turn"] = next((turn for turn in context["turns"] if turn.message.pk == pk), None)
    return render(request, "playground/chat.html#finished", context)


# --- conversations ------------------------------------------------------------


@require_POST
def start(request: HtmxHttpRequest) -> HttpResponse:
    """The first message of a new conversation."""
    settings_form, message_form = SettingsForm(request.POST), MessageForm(request.POST)
    if not (settings_form.is_valid() and message_form.is_valid()):
        return render_page(
            request, None, 422, settings_form=settings_form, message_form=message_form
        )
    answer = services.start_conversation(
        settings=settings_form.cleaned_data, content=message_form.cleaned_data["content"]
    )
    return redirect(_place(answer))


@require_POST
def send(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """The next message, with the settings as they stand beside it."""
    chat = get_object_or_404(Conversation, pk=pk)
    settings_form = SettingsForm(request.POST, instance=chat)
    message_form = MessageForm(request.POST)
    if not (settings_form.is_valid() and message_form.is_valid()):
        forms = {"settings_form": settings_form, "message_form": message_form}
        return render_page(request, chat, 422, problem=_first_error(settings_form), **forms)
    settings_form.save()
    try:
        answer = services.send(conversation=chat, content=message_form.cleaned_data["content"])
    except PlaygroundError as error:
        return render_page(request, chat, 409, problem=str(error), message_form=message_form)
    return done(request, answer)


@require_POST
def save_settings(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Keep the settings; answers with nothing, or with the form and its errors."""
    form = SettingsForm(request.POST, instance=get_object_or_404(Conversation, pk=pk))
    if not form.is_valid():
        context = {"settings_form": form, "conversation": form.instance}
        return render(request, "playground/chat.html#settings", context, status=422)
    form.save()
    return HttpResponse(status=204)


@require_POST
def rename(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Give a conversation another name."""
    chat = get_object_or_404(Conversation, pk=pk)
    form = TitleForm(request.POST)
    if not form.is_valid():
        return render_page(request, chat, 422, problem=form.errors["title"][0])
    # Without touching updated_at: a new name does not move it up the list.
    Conversation.objects.filter(pk=chat.pk).update(title=form.cleaned_data["title"])
    return redirect(chat)


@require_POST
def delete(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Delete a conversation with all its branches."""
    services.delete_conversation(conversation=get_object_or_404(Conversation, pk=pk))
    return redirect("playground:home")


# --- messages -----------------------------------------------------------------


@require_GET
async def events(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A running answer as server-sent events; see streams.py."""
    # Looked up before the message is read: an answer that ends in between is
    # stored by then.
    running = answers.find(pk)
    one = await aget_object_or_404(Message, pk=pk)
    if running is None and not services.is_written_elsewhere(one):
        body = streams.replay(one, streams.offset_asked_for(request))
        return HttpResponse(body, content_type=streams.CONTENT_TYPE, headers=_UNBUFFERED)
    # ASGI servers need the one, WSGI servers the other.
    follow = streams.follow if isinstance(request, ASGIRequest) else streams.follow_blocking
    transcript = running.transcript if running else mirror(pk)
    frames = follow(transcript, streams.frames_asked_for(request))
    return StreamingHttpResponse(frames, content_type=streams.CONTENT_TYPE, headers=_UNBUFFERED)


@require_POST
def stop(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """End an answer and keep what there is of it."""
    answer = message_of(pk)
    services.stop(answer=answer)
    return done(request, answer)


@require_POST
def regenerate(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Answer the same question once more."""
    answer = message_of(pk, role=Message.Role.ASSISTANT)
    try:
        return done(request, services.regenerate(answer=answer))
    except PlaygroundError as error:
        return render_page(request, answer.conversation, 409, problem=str(error))


@require_POST
def go_on(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Write on where an answer was cut."""
    answer = message_of(pk, role=Message.Role.ASSISTANT)
    try:
        return done(request, services.go_on(answer=answer))
    except PlaygroundError as error:
        return render_page(request, answer.conversation, 409, problem=str(error))


@require_POST
def edit(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask a question differently."""
    question = message_of(pk, role=Message.Role.USER)
    form = MessageForm(request.POST)
    if not form.is_valid():
        return render_page(request, question.conversation, 422, problem=form.errors["content"][0])
    try:
        answer = services.edit(question=question, content=form.cleaned_data["content"])
    except PlaygroundError as error:
        return render_page(request, question.conversation, 409, problem=str(error))
    return done(request, answer)


@require_POST
def show(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show another version of a message."""
    one = message_of(pk)
    services.show_branch(message=one)
    return done(request, one)


@require_POST
def delete_message(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Delete a message and what follows it."""
    one = message_of(pk)
    services.delete_message(message=one)
    if request.htmx:
        return render_page(request, one.conversation)
    return redirect(one.conversation)


# --- what they share ----------------------------------------------------------


def message_of(pk: int, **conditions: object) -> Message:
    """A message with its conversation. Raises Http404."""
    messages = Message.objects.select_related("conversation__model", "parent")
    return get_object_or_404(messages, pk=pk, **conditions)


def _first_error(form: SettingsForm) -> str:
    """A mistake in the settings, which stand in another pane, in one line; empty for none."""
    for name, errors in form.errors.items():
        return f"{form[name].label}: {errors[0]}"
    return ""


def _place(one: Message) -> str:
    """Where a message stands on its conversation's page."""
    return f"{one.conversation.get_absolute_url()}#m{one.pk}"


def done(request: HtmxHttpRequest, one: Message) -> HttpResponse:
    """The thread after something was done to a message of it; without htmx its page."""
    if request.htmx:
        return render_page(request, get_object_or_404(Conversation, pk=one.conversation_id))
    return redirect(_place(one))
