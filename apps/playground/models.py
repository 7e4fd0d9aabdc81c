"""Conversations and their messages.

A conversation is a tree: regenerating an answer or editing a question adds a
sibling and loses nothing. ``active_leaf`` is the end of the branch on show.
"""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

TITLE_LENGTH = 80
MAX_SEED = 2**32 - 1
MAX_CHARACTERS = 1_000_000
"""Longest message or system prompt; far past any context, well below what a page bears."""


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def matching(self, words: str) -> ConversationQuerySet:
        """Conversations whose title or any message contains ``words``; all where empty."""
        if not words:
            return self
        said = Message.objects.filter(conversation=models.OuterRef("pk"), content__icontains=words)
        return self.filter(models.Q(title__icontains=words) | models.Exists(said))


class Conversation(models.Model):
    """A chat with one model, and the parameters its next answer is made with."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=TITLE_LENGTH)
    model = models.ForeignKey(
        "models.LocalModel", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    adapter = models.ForeignKey(
        "models.Adapter", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    system_prompt = models.TextField(blank=True, max_length=MAX_CHARACTERS)
    # Cautious defaults: the starter model is small and wanders when it is hot.
    temperature = models.FloatField(
        default=0.3, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)]
    )
    top_p = models.FloatField(
        default=0.9, validators=[MinValueValidator(0.01), MaxValueValidator(1.0)]
    )
    repetition_penalty = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(2.0)],
        help_text="Above 1: says less of what was said already.",
    )
    max_tokens = models.PositiveIntegerField(
        null=True,
        blank=True,
        default=1024,
        validators=[MinValueValidator(1)],
        help_text="Empty: up to what the context still holds.",
    )
    seed = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_SEED)],
        help_text="Empty: a different answer each time.",
    )
    active_leaf = models.ForeignKey(
        "Message", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ("-updated_at",)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("playground:conversation", args=[self.pk])

    def show(self, leaf: Message | None) -> None:
        """Make the branch that ends in ``leaf`` the one on show."""
        self.active_leaf = leaf
        self.save(update_fields=["active_leaf", "updated_at"])


class MessageQuerySet(models.QuerySet["Message"]):
    def running(self) -> MessageQuerySet:
        """Answers still marked as being written."""
        return self.filter(state=Message.State.RUNNING)

    def answers(self) -> MessageQuerySet:
        return self.filter(role=Message.Role.ASSISTANT)

    def interrupt(self, reason: str) -> int:
        """Mark the running answers among these as cut short; returns how many."""
        return self.running().update(state=Message.State.INTERRUPTED, error=reason)


class Message(models.Model):
    """One turn: what the user said, or an answer and how it went."""

    class Role(models.TextChoices):
        USER = "user", "You"
        ASSISTANT = "assistant", "Assistant"

    class State(models.TextChoices):
        COMPLETE = "complete", "Complete"
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"
        INTERRUPTED = "interrupted", "Interrupted"
        FAILED = "failed", "Failed"

    class Rating(models.IntegerChoices):
        DOWN = -1, "Bad answer"
        NONE = 0, "Not rated"
        UP = 1, "Good answer"

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="replies")
    role = models.CharField(max_length=16, choices=Role)
    content = models.TextField(blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.COMPLETE, db_index=True)
    error = models.TextField(blank=True, help_text="What happened, why, and what to do.")
    runner = models.CharField(
        max_length=200, blank=True, help_text="Process that writes the answer, or wrote it."
    )
    stop_asked = models.BooleanField(
        default=False, help_text="Somebody wants the answer to end, in whatever process it runs."
    )
    model_name = models.CharField(max_length=200, blank=True)
    rating = models.SmallIntegerField(choices=Rating, default=Rating.NONE)
    corrects = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        related_name="corrections",
        help_text="The answer that a person wrote this one in place of.",
    )
    finish_reason = models.CharField(max_length=16, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(null=True)
    completion_tokens = models.PositiveIntegerField(null=True)
    ttft = models.FloatField(null=True, help_text="Seconds to the first token.")
    tokens_per_second = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.get_role_display()}: {self.content[:60]}"

    @property
    def is_answer(self) -> bool:
        return self.role == self.Role.ASSISTANT

    @property
    def is_correction(self) -> bool:
        """Whether a person wrote it, in place of an answer."""
        return self.corrects_id is not None

    @property
    def is_whole(self) -> bool:
        """Whether it is something that was said to its end."""
        return self.state == self.State.COMPLETE and bool(self.content.strip())

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def was_cut(self) -> bool:
        """Whether the answer ended before the model was through, with something to go on from."""
        at_limit = self.finish_reason == "length"
        ended = self.is_running or (self.state == self.State.COMPLETE and not at_limit)
        written = self.is_answer and not self.is_correction and bool(self.content.strip())
        return written and not ended

    @property
    def fell_short(self) -> bool:
        """Whether the answer ended by something that a retry may mend."""
        return self.state in {self.State.FAILED, self.State.INTERRUPTED}
