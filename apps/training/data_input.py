"""The field that says what to train on: a dataset of the hub's from a list, or a name beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import Q
from django.forms.renderers import BaseRenderer
from django.template.defaultfilters import pluralize
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from apps.datasets.models import Dataset, DatasetVersion
from apps.models.naming import slug_from
from apps.training.sources import name_of

OTHER = "/"
"""Chosen in the list for what it does not have: no dataset is called so."""


class DataInput(forms.Widget):
    """A list of datasets, and a box for a folder or an older version.

    Its value is one name, as ``sources.source_named`` takes it. Sent under the field's own name
    it counts whatever the list offers, so that links and scripts need not know of the box.
    """

    datasets: Sequence[Dataset] = ()
    """Those that the list offers."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        chosen: str = data.get(name) or ""
        if chosen and chosen != OTHER:
            return chosen
        # Where a browser can't hide the box, somebody may write there and choose nothing.
        return data.get(f"{name}_other") or ""

    def render(
        self,
        name: str,
        value: Any,
        attrs: Mapping[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        chosen = self._chosen(value)
        attrs = self.build_attrs(self.attrs, dict(attrs or {}))
        beside = attrs | _BESIDE | {"id": f"{attrs.get('id', name)}_other", "required": False}
        attrs.pop("maxlength", None)  # of the box alone
        written = value if chosen == OTHER else ""
        return render_to_string(
            "training/data_input.html",
            {
                "list": forms.Select(choices=self._choices()).render(name, chosen, attrs, renderer),
                "box": forms.TextInput().render(f"{name}_other", written, beside, renderer),
            },
        )

    def _choices(self) -> list[tuple[str, str]]:
        none_yet = [("", "Choose a dataset")] if self.datasets else []
        offered = [(one.slug, _label(one)) for one in self.datasets]
        return [*none_yet, *offered, (OTHER, "A folder, or an older version…")]

    def _chosen(self, value: Any) -> str:
        """Which choice of the list a name is."""
        if not value:
            return "" if self.datasets else OTHER
        present = {name_of(one.head): one.slug for one in self.datasets if one.head}
        slugs = present.values()
        return present.get(value, value if value in slugs else OTHER)


_BESIDE = {
    "aria-label": "Folder or version",
    "autocomplete": "off",
    "spellcheck": "false",
    "placeholder": "/folder/of/rows or words@3",
}


def trainable() -> Sequence[Dataset]:
    """Datasets whose present version can be learnt, the newest first."""
    unmapped = Q(head__kind=DatasetVersion.Kind.UNMAPPED)
    offered = Dataset.objects.newest_first().exclude(Q(head=None) | unmapped)
    return list(offered.select_related("head__dataset"))


def _label(dataset: Dataset) -> str:
    """``Words: 4,000 rows, conversations``; with what it is called by where the name won't tell."""
    version = dataset.head
    assert version is not None
    told = slug_from(dataset.name) == dataset.slug
    name = dataset.name if told else f"{dataset.name} ({dataset.slug})"
    kind = version.get_kind_display().lower()
    return f"{name}: {version.rows:,} row{pluralize(version.rows)}, {kind}"
