"""What the playground's pages show, whichever view renders them."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.models.models import Adapter, LocalModel
from apps.playground import services
from apps.playground.addresses import whole_number
from apps.playground.forms import MessageForm, SettingsForm
from apps.playground.models import Conversation
from apps.playground.presentation import turns_of
from apps.playground.tree import MessageTree
from apps.rendering.htmx import HtmxHttpRequest

PAGE_SIZE = 30
EXAMPLES = (
    "What is the capital of France?",
    "Explain recursion to a ten-year-old.",
    "Write a Python function that reverses a string.",
)


def fresh_conversation(request: HttpRequest) -> Conversation:
    """A new conversation with what ``?model`` names, or the model used last.

    ``?model`` is a model's slug; a colon and an adapter's may follow.
    """
    slug, _, adapter = request.GET.get("model", "").partition(":")
    named = LocalModel.objects.writing().filter(slug=slug).first()
    if named is not None:
        return _begun_with(named, adapter=Adapter.objects.named(named, adapter).first())
    last = Conversation.objects.select_related("model").exclude(model=None).first()
    return _begun_with(last.model if last else LocalModel.objects.writing().first())


def _begun_with(model: LocalModel | None, adapter: Adapter | None = None) -> Conversation:
    """A conversation with the defaults of ``model``, where it has any."""
    if model is None:
        return Conversation()
    taken = ("temperature", "top_p", "repetition_penalty", "max_tokens")
    defaults = {name: value for name, value in model.sampling.items() if name in taken}
    return Conversation(model=model, adapter=adapter, system_prompt=model.system_prompt, **defaults)


def render_page(
    request: HtmxHttpRequest, chat: Conversation | None, status: int = 200, **extra: Any
) -> HttpResponse:
    """The page, or the part of it that htmx asks for."""
    if request.htmx.target == "conversations":
        context = _list_context(request, chat)
        return render(request, "playground/chat.html#conversations", context)
    context = conversation_context(request, chat) if chat else {}
    if request.htmx:
        return render(request, "playground/chat.html#thread", context | extra, status=status)
    context |= _list_context(request, chat) | {
        "message_form": MessageForm(initial={"content": request.GET.get("prompt", "")}),
        "settings_form": SettingsForm(instance=chat),
        "examples": EXAMPLES,
        "has_models": LocalModel.objects.writing().exists(),
    }
    return render(request, "playground/chat.html", context | extra, status=status)


def conversation_context(request: HttpRequest, chat: Conversation) -> dict[str, Any]:
    """The branch on show and what is being done to it; orphans are marked on the way."""
    messages = list(chat.messages.all())
    if services.interrupt_orphans(among=messages):
        messages = list(chat.messages.all())
    tree = MessageTree(messages)
    turns = turns_of(chat, tree)
    chosen = {turn.message.pk: turn.message for turn in turns}
    deleting = chosen.get(_named(request, "delete"))
    return {
        "conversation": chat,
        "message_count": len(messages),
        "turns": turns,
        "running": next((turn.message for turn in turns if turn.message.is_running), None),
        "editing": chosen.get(_named(request, "edit")),
        "correcting": chosen.get(_named(request, "correct")),
        "deleting": deleting,
        "goes_too": len(tree.below(deleting)) if deleting else 0,
    }


def _list_context(request: HttpRequest, chat: Conversation | None) -> dict[str, Any]:
    words = request.GET.get("q", "").strip()
    pages = Paginator(Conversation.objects.matching(words), PAGE_SIZE)
    return {
        "conversation": chat,
        "conversations": pages.get_page(request.GET.get("page")),
        "words": words,
    }


def _named(request: HttpRequest, key: str) -> int:
    """The message id that the address gives as ``key``; -1, which no message has, for none."""
    return whole_number(request.GET.get(key), otherwise=-1)
