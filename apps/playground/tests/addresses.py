"""Addresses of the playground, and what its forms send."""

from __future__ import annotations

from apps.playground.models import Conversation, Message

HTMX = {"HX-Request": "true", "HX-Target": "thread"}
SETTINGS = {
    "temperature": "0.3",
    "top_p": "0.9",
    "repetition_penalty": "1",
    "max_tokens": "64",
    "system_prompt": "",
}


def url(chat: Conversation, action: str = "") -> str:
    """Of a conversation's page, or of an action on it."""
    return f"/playground/c/{chat.pk}/{action}"


def message_url(message: Message | None, action: str = "") -> str:
    assert message is not None
    return f"/playground/m/{message.pk}/{action}"
