from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load_adapters

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import AdapterFormatError
from apps.models.runtime.inspect import inspect_model
from apps.models.runtime.tests.adapter_folders import CONFIG, write_adapter
from apps.models.runtime.work.converting import convert
from apps.models.runtime.work.fusing import fuse
from apps.models.runtime.work.orders import ConvertOrder, FuseOrder, Quantization
from apps.models.runtime.work.tests.conftest import ignore

PROFILE = accelerator.prepare()
TOKENS = mx.array([[5, 9, 40, 41]])


def trained(folder: Path, kind: str) -> Path:
    """An adapter over both blocks' q_proj, with weights that change something."""
    mx.random.seed(1)
    weights = {}
    for block in (0, 1):
        layer = f"model.layers.{block}.self_attn.q_proj"
        weights[f"{layer}.lora_a"] = mx.random.normal((64, 4)) * 0.3
        weights[f"{layer}.lora_b"] = mx.random.normal((4, 64)) * 0.3
        if kind == "dora":
            weights[f"{layer}.m"] = mx.random.uniform(0.5, 1.5, (64,))
    config: dict[str, Any] = CONFIG | {"fine_tune_type": kind}
    config["lora_parameters"] = CONFIG["lora_parameters"] | {"keys": ["self_attn.q_proj"]}
    write_adapter(folder, config=config)
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    return folder


def fused(source: Path, adapter: Path, **order: object) -> Path:
    out = source.with_name("fused")
    fields = {"source": source, "adapter": adapter, "destination": out, "measure": False} | order
    fuse(FuseOrder.model_validate(fields), PROFILE, ignore)
    return out


def logits(folder: Path, adapter: Path | None = None) -> np.ndarray:
    loaded = loading.load(folder, PROFILE)
    model = loaded.model if adapter is None else load_adapters(loaded.model, str(adapter))
    return np.array(model(TOKENS).astype(mx.float32))


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_fused_model_computes_what_base_and_adapter_do(
    source: Path, tmp_path: Path, kind: str
) -> None:
    adapter = trained(tmp_path / "adapter", kind)

    out = fused(source, adapter)

    expected = logits(source, adapter)
    assert np.abs(logits(source) - expected).max() > 0.05
    # The sum is rounded to float16, as the base is.
    np.testing.assert_allclose(logits(out), expected, atol=0.02)


def test_a_packed_base_gives_a_packed_model_unless_it_is_to_be_unpacked(
    source: Path, tmp_path: Path
) -> None:
    packed = source.with_name("packed")
    order = ConvertOrder(
        source=source,
        destination=packed,
        quantization=Quantization(bits=8, group_size=32),
        measure=False,
    )
    convert(order, PROFILE, ignore)
    adapter = trained(tmp_path / "adapter", "lora")

    out = fused(packed, adapter)
    assert inspect_model(out).quantization == "8-bit"
    out.rename(out.with_name("still-packed"))

    unpacked = fused(packed, adapter, dequantize=True)
    assert inspect_model(unpacked).quantization == "float16"
    np.testing.assert_allclose(logits(unpacked), logits(packed, adapter), atol=0.05)


def test_an_adapter_for_another_base_is_refused_and_leaves_nothing(
    source: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(
        tmp_path / "adapter",
        {"model.layers.7.self_attn.q_proj.lora_a": [64, 4],
         "model.layers.7.self_attn.q_proj.lora_b": [4, 64]},
    )  # fmt: skip

    with pytest.raises(AdapterFormatError, match="Choose the model that it was trained on"):
        fused(source, adapter)

    assert not source.with_name("fused").exists()
