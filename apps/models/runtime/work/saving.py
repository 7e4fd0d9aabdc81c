"""A model in memory becomes a model folder.

The tokenizer's files are copied rather than written anew: what a conversion does not
touch stays the same byte for byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_map
from mlx_lm.utils import make_shards, save_config

from apps.models.runtime.staging import require_space

Progress = Callable[[str, float], None]
"""Called with what is being done and how far along it is, from 0.0 to 1.0."""

_WEIGHTS = (".safetensors", ".safetensors.index.json")
_COPIED = {".json", ".jinja", ".model", ".tiktoken", ".txt", ".md", ""}
"""Kinds of files that go along. Programs and pickles never do."""

_LICENSES = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY")
_TEMPLATES = "additional_chat_templates"


def save_model(
    model: nn.Module, config: dict[str, Any], source: Path, folder: Path, report: Progress
) -> None:
    """Write the model into ``folder``, with everything of ``source`` that is not weights.

    Weights that were not computed yet are computed tensor by tensor and let go shard by
    shard, so that memory holds one shard and not two models. ``model`` is of no use
    afterwards. Raises ImportDestinationError where the disk has no room.
    """
    weights = dict(tree_flatten(model.parameters()))
    require_space(folder, sum(array.nbytes for array in weights.values()))
    _copy_rest(source, folder)
    save_config(config, folder / "config.json", keep_vision_config="vision_config" in config)
    shards = make_shards(weights)
    total = sum(array.nbytes for array in weights.values())
    # Nothing but the shards may hold the weights, so that each goes once it is written.
    model.update(tree_map(lambda _: mx.array([]), model.parameters()))
    weights.clear()
    _write_shards(shards, folder, total, report)


def _write_shards(
    shards: list[dict[str, mx.array]], folder: Path, total: int, report: Progress
) -> None:
    index: dict[str, str] = {}
    count, done = len(shards), 0
    for number in range(1, count + 1):
        shard = shards.pop(0)
        name = (
            "model.safetensors" if count == 1 else f"model-{number:05d}-of-{count:05d}.safetensors"
        )
        for array in shard.values():
            mx.eval(array)
            done += array.nbytes
            report("computing and writing weights", done / total)
        mx.save_safetensors(str(folder / name), shard, metadata={"format": "mlx"})
        index |= dict.fromkeys(shard, name)
        del shard, array
        mx.clear_cache()
    if count > 1:
        content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
        (folder / "model.safetensors.index.json").write_text(json.dumps(content, indent=2))


def _copy_rest(source: Path, folder: Path) -> None:
    for file in source.iterdir():
        if _goes_along(file):
            shutil.copyfile(file, folder / file.name)
    if (source / _TEMPLATES).is_dir():
        (folder / _TEMPLATES).mkdir()
        for file in (source / _TEMPLATES).glob("*.jinja"):
            shutil.copyfile(file, folder / _TEMPLATES / file.name)


def _goes_along(file: Path) -> bool:
    if file.name.startswith(".") or file.name.endswith(_WEIGHTS) or not file.is_file():
        return False
    if not file.suffix:
        return file.name.upper().startswith(_LICENSES)
    return file.suffix in _COPIED and file.name != "config.json"
