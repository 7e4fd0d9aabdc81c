"""When a job is to have its turn, as a form asks for it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q

from apps.jobs.models import ACTIVE, JobState, Priority
from apps.training.models import TrainingJob
from apps.training.services import Place

_MINUTES = "%Y-%m-%dT%H:%M"
"""As browsers write a time."""


class PlaceForm(forms.Form):
    """Everything may be left out: then the job comes behind those that wait."""

    priority = forms.TypedChoiceField(
        label="Priority",
        choices=Priority.choices,
        coerce=int,
        initial=int(Priority.NORMAL),
        required=False,
    )
    not_before = forms.DateTimeField(
        label="Not before",
        required=False,
        input_formats=[_MINUTES, f"{_MINUTES}:%S"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MINUTES),
        help_text="In UTC.",
    )
    after = forms.ModelChoiceField(
        label="After",
        queryset=TrainingJob.objects.none(),
        required=False,
        empty_label="no other job",
        help_text="However that one ends.",
    )
    self_resuming = forms.BooleanField(
        label="Go on by itself",
        required=False,
        initial=True,
        help_text="From its newest checkpoint, where a process of its died or the hub was stopped.",
    )

    def __init__(self, *args: Any, job: TrainingJob | None = None, **kwargs: Any) -> None:
        """``job``: whose place it is, if it is ordered already."""
        if job is not None:
            fields = ("priority", "not_before", "after", "self_resuming")
            kwargs["initial"] = {name: getattr(job, name) for name in fields}
        super().__init__(*args, **kwargs)
        after = self.fields["after"]
        assert isinstance(after, forms.ModelChoiceField)
        chosen = Q(pk=job.after_id) if job and job.after_id else Q()
        others = TrainingJob.objects.filter(Q(state__in=(*ACTIVE, JobState.PAUSED)) | chosen)
        after.queryset = others.exclude(pk=job.pk) if job else others

    @property
    def place(self) -> Place:
        """Of a valid form."""
        priority = self.cleaned_data["priority"]
        usual = {"priority": Priority.NORMAL if priority == "" else priority}
        return Place(**self.cleaned_data | usual)
