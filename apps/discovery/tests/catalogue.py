"""A small cast of repositories, as the hub describes them."""

from __future__ import annotations

import json
from typing import Any

from apps.discovery.tests.hub_search import Catalogue

BASE = "acme/Tiny-1B"
FOUR_BITS = "mlx-community/Tiny-1B-4bit"
EIGHT_BITS = "mlx-community/Tiny-1B-8bit"
GGUF = "acme/Tiny-1B-GGUF"
OTHER = "zoo/Whale-7B-4bit"

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}
CARD = b"""---
license: apache-2.0
language: [en]
---
# Tiny

A **small** model. [Licence](LICENSE)

<script>alert("card")</script>
<div align="center"><img src="https://evil.example/pixel.png"></div>
"""


def stock(catalogue: Catalogue) -> Catalogue:
    """Five repositories: a model, two quantised forms for MLX, one in GGUF, and another model."""
    shared = {"pipeline_tag": "text-generation", "lastModified": "2026-10-01T12:00:00.000Z"}
    quantized = ["mlx", f"base_model:{BASE}", f"base_model:quantized:{BASE}", "llama"]
    catalogue.add(
        BASE,
        {
            "README.md": CARD,
            "LICENSE": b"Apache License\n",
            "config.json": json.dumps(CONFIG).encode(),
            "model.safetensors": bytes(40_000),
            "tokenizer.json": b"{}",
            "pytorch_model.bin": b"a pickle",
        },
        tags=["safetensors", "llama", "license:apache-2.0"],
        library_name="transformers",
        downloads=50_000,
        likes=70,
        trendingScore=1,
        createdAt="2026-01-01T00:00:00.000Z",
        config={"model_type": "llama"},
        cardData={"license": "apache-2.0", "language": ["en"]},
        safetensors={"parameters": {"BF16": 1_000_000_000}, "total": 1_000_000_000},
        **shared,
    )
    catalogue.add(
        FOUR_BITS,
        {
            "README.md": b"# Tiny in 4 bits\n",
            "config.json": json.dumps(
                CONFIG | {"quantization": {"bits": 4, "group_size": 64}}
            ).encode(),
            "model.safetensors": bytes(30_000),
        },
        tags=[*quantized, "4-bit", "license:apache-2.0"],
        library_name="mlx",
        downloads=900,
        likes=3,
        trendingScore=9,
        createdAt="2026-03-01T00:00:00.000Z",
        config={"model_type": "llama", "quantization_config": {"bits": 4}},
        safetensors={"parameters": {"U32": 125_000_000, "BF16": 31_250_000}},
        **shared,
    )
    catalogue.add(
        EIGHT_BITS,
        tags=[*quantized, "8-bit", "license:apache-2.0"],
        library_name="mlx",
        downloads=300,
        likes=8,
        trendingScore=4,
        createdAt="2026-02-01T00:00:00.000Z",
        config={"model_type": "llama", "quantization_config": {"bits": 8}},
        safetensors={"parameters": {"U32": 250_000_000, "BF16": 31_250_000}},
        **shared,
    )
    catalogue.add(
        GGUF,
        {"tiny-q4.gguf": b"GGUF", "README.md": b"# GGUF\n"},
        tags=["gguf", f"base_model:quantized:{BASE}"],
        downloads=10,
        gguf={"total": 1_000_000_000, "architecture": "llama"},
    )
    catalogue.add(
        OTHER,
        tags=["mlx", "qwen2", "license:mit", "4-bit"],
        library_name="mlx",
        gated="auto",
        downloads=40,
        likes=1,
        trendingScore=2,
        createdAt="2026-04-01T00:00:00.000Z",
        config={"model_type": "qwen2"},
        safetensors={"parameters": {"U32": 875_000_000, "F16": 218_000_000}},
        **shared,
    )
    return catalogue
