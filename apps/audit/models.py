"""The audit log: who did what to what, when, from where, and what came of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.audit.wording import in_words


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    def matching(self, words: str) -> AuditEntryQuerySet:
        """Those that have every word somewhere in them; of an action, in its code or its words."""
        found = self
        codes = AuditEntry.objects.order_by().values_list("action", flat=True).distinct()
        for word in words.split():
            said = [each for each in codes if word.casefold() in in_words(each).casefold()]
            found = found.filter(
                Q(actor_name__icontains=word)
                | Q(action__icontains=word)
                | Q(action__in=said)
                | Q(subject__icontains=word)
                | Q(address__icontains=word)
            )
        return found


class AuditEntry(models.Model):
    """One action. Written once; nothing changes it, and its age alone deletes it.

    The actor's name is copied, so that it stays readable when the account is gone.
    """

    class Outcome(models.TextChoices):
        DONE = "done"
        REFUSED = "refused"
        FAILED = "failed"

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_kind = models.CharField(max_length=10)
    actor_name = models.CharField(max_length=150, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    address = models.CharField(max_length=45, blank=True, help_text="Empty: not over a network.")
    action = models.CharField(max_length=80, db_index=True, help_text="For example model.delete.")
    subject = models.CharField(max_length=300, blank=True, help_text="What it was done to.")
    detail = models.JSONField(default=dict)
    outcome = models.CharField(max_length=10, choices=Outcome)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.who}: {self.action} {self.subject}".rstrip()

    @property
    def who(self) -> str:
        """The actor, for people."""
        match self.actor_kind:
            case "owner":
                return "owner, at this machine"
            case "nobody":
                return "nobody signed in"
            case "program":
                # The two processes that act without a request.
                return f"command or worker ({self.actor_name or 'no name'})"
            case "key":
                return f"key {self.actor_name}"
            case _:
                return self.actor_name

    @property
    def action_in_words(self) -> str:
        """The action, for people."""
        return in_words(self.action)

    @property
    def details(self) -> list[tuple[str, str]]:
        """What else was noted, by name."""
        return [(name.replace("_", " "), str(value)) for name, value in self.detail.items()]
