"""How the pages write a conversation: turns, versions, and numbers in words."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString

from apps.playground import answers
from apps.playground.models import Conversation, Message
from apps.playground.thinking import split_thinking
from apps.playground.tree import MessageTree
from apps.rendering.markdown import render_live, render_markdown


@dataclass(frozen=True)
class Turn:
    """A message on the branch on show, with its place among its versions."""

    message: Message
    text: str
    """The text so far, where the answer is running."""
    version: int
    versions: int
    previous: Message | None
    next: Message | None

    @property
    def thinking_html(self) -> SafeString:
        return render_markdown(split_thinking(self.text)[0])

    @property
    def live_html(self) -> SafeString:
        """The text so far as its followers are sent it, thoughts and all."""
        blocks = render_live(self.text)
        return blocks.closed + blocks.open

    @property
    def answer_html(self) -> SafeString:
        return render_markdown(split_thinking(self.text)[1])

    @property
    def answer_text(self) -> str:
        """The answer without thoughts, to be corrected."""
        return split_thinking(self.text)[1]

    @property
    def metrics(self) -> str:
        return metrics_line(self.message)


def turns_of(conversation: Conversation, tree: MessageTree) -> list[Turn]:
    """The branch on show."""
    return [turn_of(tree, message) for message in tree.path(conversation.active_leaf_id)]


def turn_of(tree: MessageTree, message: Message) -> Turn:
    """A message with its place among its versions, and its text so far."""
    versions = tree.siblings(message)
    at = versions.index(message)
    running = answers.find(message.pk) if message.is_running else None
    return Turn(
        message=message,
        text=running.transcript.text if running else message.content,
        version=at + 1,
        versions=len(versions),
        previous=versions[at - 1] if at > 0 else None,
        next=versions[at + 1] if at + 1 < len(versions) else None,
    )


def metrics_line(message: Message) -> str:
    """For example ``TTFT 0.42 s · 38 tok/s · 512 out · 1,024/1,310 cached``; what is known of it."""
    parts = []
    if message.ttft is not None:
        parts.append(f"TTFT {message.ttft:.2f} s")
    if message.tokens_per_second is not None:
        parts.append(f"{_rate(message.tokens_per_second)} tok/s")
    if message.completion_tokens is not None:
        parts.append(f"{message.completion_tokens:,} out")
    if message.prompt_tokens is not None:
        parts.append(f"{message.cached_tokens or 0:,}/{message.prompt_tokens:,} cached")
    return " · ".join(parts)


def _rate(tokens_per_second: float) -> str:
    digits = 0 if tokens_per_second >= 10 else 1
    return f"{tokens_per_second:,.{digits}f}"
