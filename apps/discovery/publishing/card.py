"""The model card of what is published. It says what the registry knows, and no more.

https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from apps.models.models import Adapter, LocalModel
from apps.models.provenance import Provenance, provenance_of

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+|<>~!])")


def card_of(model: LocalModel, adapter: Adapter | None, repo_id: str) -> str:
    """Front matter and text, as Markdown."""
    made = provenance_of(model, adapter)
    front = yaml.safe_dump(_front(model, adapter), sort_keys=False, allow_unicode=True)
    parts = [f"---\n{front}---", f"# {_plain(adapter.name if adapter else model.name)}"]
    parts.append(_about(model, adapter))
    if made is not None:
        parts += list(_training(made))
    parts.append(_usage(model, adapter, repo_id))
    return "\n\n".join(parts) + "\n"


def _front(model: LocalModel, adapter: Adapter | None) -> dict[str, Any]:
    base = model.repo_id if adapter else model.base_repo_id
    front: dict[str, Any] = {"library_name": "mlx", "pipeline_tag": "text-generation"}
    if base:
        front |= {"base_model": base}
        if adapter:
            front |= {"base_model_relation": "adapter"}
    return front | {"tags": ["mlx", "lora"] if adapter else ["mlx"]}


def _about(model: LocalModel, adapter: Adapter | None) -> str:
    if adapter is None:
        return (
            f"A model for MLX, {model.get_source_display().replace('here', 'with MLX Model Hub')}."
        )
    base = model.repo_id or model.name
    return f"An adapter for MLX over {_plain(base)}."


def _training(made: Provenance) -> list[str]:
    rows = "\n".join(f"| {_plain(name)} | {_plain(value)} |" for name, value in made.figures)
    return [
        "## Training",
        f"{_plain(made.method)}, on {_plain(made.data)}.",
        f"| | |\n|---|---|\n{rows}",
        # Four spaces make it text whatever it says; a fence could be closed by it.
        "Settings, as `mlx_lm.lora --config` takes them:",
        "\n".join(f"    {line}" for line in made.settings.splitlines()),
    ]


def _usage(model: LocalModel, adapter: Adapter | None, repo_id: str) -> str:
    if adapter is None:
        return f'## Use\n\n    mlx_lm.generate --model {repo_id} --prompt "Hello"'
    base = model.repo_id or model.slug
    return (
        "## Use\n\n"
        f"    hf download {repo_id} --local-dir adapter\n"
        f'    mlx_lm.generate --model {base} --adapter-path adapter --prompt "Hello"'
    )


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
