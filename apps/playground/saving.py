"""A conversation as a Markdown document, to be kept or read elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.text import slugify

from apps.playground.models import Conversation, Message
from apps.playground.thinking import split_thinking


def markdown_of(conversation: Conversation, branch: Sequence[Message]) -> str:
    """What was said on ``branch``, a section for each turn; thoughts are left out."""
    sections = [f"# {conversation.title}"]
    if conversation.system_prompt.strip():
        sections.append(f"## System prompt\n\n{conversation.system_prompt.strip()}")
    for message in branch:
        text = split_thinking(message.content)[1] if message.is_answer else message.content
        if text.strip():
            who = message.model_name if message.is_answer else "You"
            sections.append(f"## {who}\n\n{text.strip()}")
    return "\n\n".join(sections) + "\n"


def file_name(conversation: Conversation) -> str:
    """What the document is called on the reader's disk."""
    return f"{slugify(conversation.title) or 'conversation'}.md"
