"""What config.json says of each layer, against the caches that mlx-lm really makes."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.models.runtime import accelerator
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.memory import Shape
from apps.models.runtime.memory.chat import kv_elements

PROFILE = accelerator.prepare()

SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 4, "intermediate_size": 48,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 512, "rope_theta": 10000.0, "tie_word_embeddings": True,
}  # fmt: skip
LATENT = {
    "moe_intermediate_size": 16, "n_routed_experts": 4, "n_shared_experts": 1,
    "num_experts_per_tok": 2, "moe_layer_freq": 1, "first_k_dense_replace": 1, "kv_lora_rank": 16,
    "q_lora_rank": 16, "qk_rope_head_dim": 8, "v_head_dim": 8, "qk_nope_head_dim": 8, "n_group": 1,
    "topk_group": 1, "routed_scaling_factor": 1.0, "num_key_value_heads": 4,
    "rope_scaling": {"type": "yarn", "factor": 1.0, "original_max_position_embeddings": 512},
}  # fmt: skip
WINDOWED = ["sliding_attention", "full_attention"] * 2
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama with windows": {"layer_types": WINDOWED, "sliding_window": 16},
    "qwen3": {"layer_types": ["full_attention"] * 4, "sliding_window": None},
    "gemma2": {
        "layer_types": WINDOWED, "sliding_window": 16, "query_pre_attn_scalar": 8,
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
    },
    "gemma3_text": {"sliding_window": 16, "sliding_window_pattern": 2, "query_pre_attn_scalar": 8},
    "cohere2": {"sliding_window": 16, "sliding_window_pattern": 2, "layer_norm_eps": 1e-5,
                "logit_scale": 1.0, "attention_bias": False, "layer_norm_bias": False},
    "gpt_oss": {"sliding_window": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
    "olmo3": {"sliding_window": 16, "layer_types": WINDOWED},
    "lfm2": {
        "layer_types": ["conv", "full_attention"] * 2, "conv_L_cache": 3, "conv_bias": False,
        "norm_eps": 1e-5, "block_dim": 32, "block_ff_dim": 48, "block_multiple_of": 16,
        "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": False,
    },
    "mamba2": {
        "num_heads": 4, "head_dim": 16, "intermediate_size": 64, "state_size": 16,
        "layer_norm_epsilon": 1e-5, "conv_kernel": 4, "n_groups": 1, "use_bias": False,
        "use_conv_bias": True, "time_step_limit": [0.001, 0.1], "time_step_rank": "auto",
    },
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 16},
    "qwen3_next": {
        "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
        "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4, "num_experts": 4,
        "num_experts_per_tok": 2, "decoder_sparse_step": 1, "mlp_only_layers": [],
        "shared_expert_intermediate_size": 16, "moe_intermediate_size": 16,
        "partial_rotary_factor": 0.5, "full_attention_interval": 2,
    },
    "deepseek_v2": LATENT | {"topk_method": "greedy"},
    "deepseek_v3": LATENT | {"topk_method": "noaux_tc"},
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cache_keeps_what_the_configuration_was_read_to_keep(family: str) -> None:
    import mlx.core as mx
    from mlx_lm.models.cache import make_prompt_cache

    config = SIZES | FAMILIES[family] | {"model_type": family.split()[0]}
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    cache = make_prompt_cache(model)

    tokens = 256
    for start in range(0, tokens, 32):
        model(mx.arange(start, start + 32)[None] % 64, cache=cache)
        mx.eval([layer.state for layer in cache])

    held = sum(layer.nbytes for layer in cache) / 4
    assert kv_elements(Shape.of(config), tokens, chunk=32) == pytest.approx(held, rel=0.02)


def test_only_what_is_expanded_for_each_pass_counts_as_latent() -> None:
    shapes = [Shape.of(SIZES | LATENT | {"model_type": f"deepseek_v{n}"}) for n in (2, 3)]

    assert [shape.layers[0].latent for shape in shapes] == [False, True]


def test_layers_that_reuse_the_keys_of_others_keep_none_of_their_own() -> None:
    config = SIZES | {"model_type": "gemma3n", "num_kv_shared_layers": 2}

    kinds = [layer.kind for layer in Shape.of(config).layers]

    assert kinds[:2].count("none") == 0
    assert kinds[2:] == ["none", "none"]


def test_a_pattern_of_letters_names_what_each_block_is() -> None:
    config = SIZES | {"model_type": "nemotron_h", "hybrid_override_pattern": "M*-M"}

    kinds = [layer.kind for layer in Shape.of(config).layers]

    assert kinds == ["recurrent", "full", "none", "recurrent"]


def test_a_mixture_counts_the_experts_that_one_token_passes() -> None:
    moe = {"model_type": "qwen3_moe", "num_experts": 64, "num_experts_per_tok": 8,
           "moe_intermediate_size": 100}  # fmt: skip

    layer = Shape.of(SIZES | moe).layers[0]

    assert (layer.feed_forward, layer.experts) == (800, 8)


@pytest.mark.parametrize("broken", [{}, {"hidden_size": 32}, SIZES | {"num_hidden_layers": 10**9}])
def test_a_configuration_without_sizes_has_no_shape(broken: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError, match="can't be estimated"):
        Shape.of(broken)


@given(
    st.dictionaries(
        st.sampled_from([*SIZES, "layer_types", "text_config", "sliding_window_pattern",
                         "block_types", "kv_lora_rank", "linear_attn_config", "model_type"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=5,
        ),
    )
)  # fmt: skip
def test_whatever_a_configuration_holds_it_has_a_shape_or_a_reason(
    config: dict[str, Any],
) -> None:
    try:
        shape = Shape.of(SIZES | config)
    except ModelFormatError:
        return
    assert kv_elements(shape, 100, chunk=10) >= 0
