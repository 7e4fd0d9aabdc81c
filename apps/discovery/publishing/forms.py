"""The form that orders a publication."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from apps.discovery.errors import InvalidRepoId
from apps.discovery.hub import check_repo_id
from apps.discovery.publishing.errors import NotPublishable
from apps.discovery.publishing.files import require_publishable
from apps.discovery.publishing.services import hindrance
from apps.inference.services import NamedModel, all_models

_FLAGS = ("private", "existing")


class PublishForm(forms.Form):
    """What goes where; private unless somebody says otherwise."""

    what = forms.ChoiceField(label="Adapter or model")
    repo_id = forms.CharField(
        label="Repository",
        max_length=200,
        help_text="A new one, as OWNER/NAME.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "you/my-adapter"}),
    )
    private = forms.BooleanField(label="Private", required=False, initial=True)
    existing = forms.BooleanField(
        label="Add to the repository if it is there already", required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._named = {named.name: named for named in all_models() if _is_publishable(named)}
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = [(name, name) for name in self._named]

    @classmethod
    def of_query(cls, query: QueryDict) -> PublishForm:
        """Filled with what an address says (``Publication.order_query``); it need not say anything."""
        texts = {name: query[name] for name in ("what", "repo_id") if name in query}
        flags = {name: query[name] == "1" for name in _FLAGS if name in query}
        return cls(initial=texts | flags)

    def clean_repo_id(self) -> str:
        repo_id: str = self.cleaned_data["repo_id"].strip()
        try:
            check_repo_id(repo_id)
        except InvalidRepoId as error:
            raise forms.ValidationError(str(error)) from error
        if "/" not in repo_id:
            raise forms.ValidationError("Name it with its owner, as OWNER/NAME.")
        return repo_id

    def clean(self) -> dict[str, Any]:
        if why := hindrance():
            raise forms.ValidationError(why)
        return self.cleaned_data

    @property
    def named(self) -> NamedModel:
        return self._named[self.cleaned_data["what"]]


def _is_publishable(named: NamedModel) -> bool:
    try:
        require_publishable(named.model, named.adapter)
    except NotPublishable:
        return False
    return True
