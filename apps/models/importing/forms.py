"""What a person may order to be imported, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django import forms

from apps.models.errors import RegistryError
from apps.models.importing.orders import order_for
from apps.models.runtime.errors import RuntimeFault
from apps.models.work.plans import ImportPlan


class ImportForm(forms.Form):
    """A path on the hub's machine, and what the model is to be called."""

    path = forms.CharField(
        label="Path",
        max_length=1000,
        help_text="A GGUF file, or a folder with config.json and safetensors files.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    name = forms.CharField(
        label="Name here",
        max_length=120,
        required=False,
        help_text="Empty: as the file or folder is called.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    order: ImportPlan

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.errors if self.is_bound else ():
            self.fields[name].widget.attrs["aria-invalid"] = "true"

    def clean_path(self) -> Path:
        path = Path(self.cleaned_data["path"].strip())
        try:
            path = path.expanduser()
        except RuntimeError:  # ~somebody, who has no home here
            path = Path()
        if not path.is_absolute():
            raise forms.ValidationError("Give the full path, from / or ~ on.")
        return path

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if "path" in cleaned and "name" in cleaned:
            try:
                self.order = order_for(cleaned["path"], cleaned["name"])
            except RuntimeFault as error:
                self.add_error("path", str(error))
            except RegistryError as error:
                self.add_error("name", str(error))
        return cleaned


class UploadForm(forms.Form):
    """A file that the browser is about to send."""

    name = forms.CharField(max_length=400)
    size = forms.IntegerField(min_value=0, max_value=1 << 50)

    def clean_name(self) -> str:
        """The file's name without folders and suffix; browsers send it bare, others may not."""
        bare = self.cleaned_data["name"].replace("\\", "/").rpartition("/")[2]
        return Path(bare).stem or "upload"
