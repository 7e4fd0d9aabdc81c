"""Models with random weights, large enough that a measured peak means something.

`python -m benchmarks.fit_models NAME FOLDER` writes one: in a process of its own, so that
whoever measures has computed nothing before.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

_SHARED = {"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "eos_token_id": 256}
_CONTEXT = 8192

_LLAMA = {
    "model_type": "llama", "hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 2048,
    "num_attention_heads": 12, "num_key_value_heads": 4, "vocab_size": 32000,
    "tie_word_embeddings": True,
}  # fmt: skip
_LATENT = {
    "hidden_size": 512, "num_hidden_layers": 6, "intermediate_size": 1536,
    "moe_intermediate_size": 384, "n_routed_experts": 16, "n_shared_experts": 1,
    "num_experts_per_tok": 4, "moe_layer_freq": 1, "first_k_dense_replace": 1,
    "num_attention_heads": 8, "num_key_value_heads": 8, "kv_lora_rank": 128, "q_lora_rank": 256,
    "qk_rope_head_dim": 32, "v_head_dim": 64, "qk_nope_head_dim": 64, "n_group": 1,
    "topk_group": 1, "routed_scaling_factor": 1.0, "vocab_size": 32000,
}  # fmt: skip
_MAMBA = {
    "hidden_size": 768, "intermediate_size": 1536, "vocab_size": 32000, "num_heads": 24,
    "head_dim": 64, "state_size": 128, "conv_kernel": 4, "n_groups": 1, "use_bias": False,
    "use_conv_bias": True, "layer_norm_epsilon": 1e-5, "time_step_limit": [0.001, 0.1],
    "time_step_rank": "auto", "tie_word_embeddings": True,
}  # fmt: skip

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": _LLAMA,
    "llama 4-bit": _LLAMA | {"quantization": {"group_size": 64, "bits": 4}},
    # A fifth of a small qwen2's weights are its vocabulary; here it is three quarters.
    "qwen2": {
        "model_type": "qwen2", "hidden_size": 512, "num_hidden_layers": 8,
        "intermediate_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 2,
        "vocab_size": 151936, "tie_word_embeddings": True,
    },
    "gemma3": {
        "model_type": "gemma3_text", "hidden_size": 640, "num_hidden_layers": 18,
        "intermediate_size": 2048, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 256, "vocab_size": 32000, "sliding_window": 512, "sliding_window_pattern": 6,
        "query_pre_attn_scalar": 256,
    },
    "lfm2": {
        "model_type": "lfm2", "hidden_size": 768, "num_hidden_layers": 12, "block_dim": 768,
        "num_attention_heads": 12, "num_key_value_heads": 4, "norm_eps": 1e-5, "conv_bias": False,
        "conv_L_cache": 3, "block_ff_dim": 2048, "block_multiple_of": 256,
        "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": False, "vocab_size": 32000,
        "layer_types": ["conv", "conv", "full_attention"] * 4,
    },
    "mamba2": _MAMBA | {"model_type": "mamba2", "num_hidden_layers": 18},
    "falcon_h1": {
        "model_type": "falcon_h1", "hidden_size": 768, "num_hidden_layers": 10,
        "intermediate_size": 2048, "num_attention_heads": 12, "num_key_value_heads": 4,
        "head_dim": 64, "mamba_d_ssm": 1536, "mamba_n_heads": 24, "mamba_d_head": 64,
        "mamba_d_state": 128, "mamba_n_groups": 1, "vocab_size": 32000,
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe", "hidden_size": 512, "num_hidden_layers": 6,
        "intermediate_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 2,
        "head_dim": 64, "num_experts": 16, "num_experts_per_tok": 4, "decoder_sparse_step": 1,
        "mlp_only_layers": [], "moe_intermediate_size": 512, "vocab_size": 32000,
        "tie_word_embeddings": True, "norm_topk_prob": True,
    },
    "deepseek_v3": _LATENT | {"model_type": "deepseek_v3", "topk_method": "noaux_tc"},
    "deepseek_v2": _LATENT
    | {
        "model_type": "deepseek_v2",
        "topk_method": "greedy",
        "rope_scaling": {"type": "yarn", "factor": 1.0, "original_max_position_embeddings": 4096},
    },
    # For training, whose activations are many times the weights.
    "small llama": _LLAMA | {"hidden_size": 512, "num_hidden_layers": 6, "vocab_size": 8000,
                             "num_attention_heads": 8, "intermediate_size": 1408},
    "small moe": {
        "model_type": "qwen3_moe", "hidden_size": 384, "num_hidden_layers": 4,
        "intermediate_size": 1024, "num_attention_heads": 6, "num_key_value_heads": 2,
        "head_dim": 64, "num_experts": 8, "num_experts_per_tok": 2, "decoder_sparse_step": 1,
        "mlp_only_layers": [], "moe_intermediate_size": 512, "vocab_size": 8000,
        "tie_word_embeddings": True, "norm_topk_prob": True,
    },
    "small qwen3": {
        "model_type": "qwen3", "hidden_size": 512, "num_hidden_layers": 6,
        "intermediate_size": 1408, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 128, "vocab_size": 8000, "tie_word_embeddings": True,
    },
    "small gemma3": {
        "model_type": "gemma3_text", "hidden_size": 512, "num_hidden_layers": 6,
        "intermediate_size": 1408, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 128, "vocab_size": 8000, "sliding_window": 128, "sliding_window_pattern": 3,
        "query_pre_attn_scalar": 128,
    },
    "small mamba2": _MAMBA | {"model_type": "mamba2", "num_hidden_layers": 4, "hidden_size": 512,
                              "num_heads": 16, "intermediate_size": 1024, "vocab_size": 8000},
}  # fmt: skip


def write_model(name: str, folder: Path) -> None:
    """Write the model of this name as bfloat16, or packed where its config says so."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    from apps.inference.engine.tests.tiny import write_tokenizer

    config = _SHARED | CONFIGS[name] | {"max_position_embeddings": _CONTEXT}
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    mx.random.seed(0)
    model = module.Model(module.ModelArgs.from_dict(config))
    model.set_dtype(mx.bfloat16)
    if packing := config.get("quantization"):
        nn.quantize(model, **packing)
    folder.mkdir(parents=True, exist_ok=True)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": "bfloat16"}))
    write_tokenizer(folder, context=_CONTEXT)


if __name__ == "__main__":
    write_model(sys.argv[1], Path(sys.argv[2]))
