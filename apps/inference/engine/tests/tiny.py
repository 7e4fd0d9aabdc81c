"""Tiny random-weight models, one for each kind of cache, with a byte-level tokenizer."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIALS = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
CONTEXT = 512


_VOCABULARY = 256 + len(SPECIALS)

_SHARED = {
    "vocab_size": _VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "eos_token_id": 256,
    "hidden_size": 32,
}

ARCHITECTURES = {
    # Every layer keeps plain KV.
    "llama": {
        "num_hidden_layers": 2,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    },
    # Two layers of three see a window of 16 tokens.
    "gemma3_text": {
        "num_hidden_layers": 3,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "head_dim": 8,
        "num_key_value_heads": 1,
        "sliding_window": 16,
        "sliding_window_pattern": 3,
        "query_pre_attn_scalar": 8,
    },
    # Convolutions with a short state beside attention.
    "lfm2": {
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "norm_eps": 1e-5,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 32,
        "block_ff_dim": 48,
        "block_multiple_of": 16,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "layer_types": ["conv", "full_attention", "conv"],
    },
    # A recurrent state and attention in each layer, their caches nested in one.
    "falcon_h1": {
        "num_hidden_layers": 2,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "mamba_d_ssm": 64,
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 16,
        "mamba_n_groups": 1,
        "attention_out_multiplier": 1.0,
        "embedding_multiplier": 1.0,
        "key_multiplier": 1.0,
        "lm_head_multiplier": 1.0,
        "mlp_multipliers": [1.0, 1.0],
        "ssm_in_multiplier": 1.0,
        "ssm_multipliers": [1.0, 1.0, 1.0, 1.0, 1.0],
        "ssm_out_multiplier": 1.0,
    },
    # Nothing but recurrent states.
    "mamba2": {
        "num_hidden_layers": 2,
        "num_heads": 4,
        "head_dim": 16,
        "intermediate_size": 64,
        "state_size": 16,
        "layer_norm_epsilon": 1e-5,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_bias": False,
        "use_conv_bias": True,
        "tie_word_embeddings": True,
        "time_step_limit": [0.001, 0.1],
        "time_step_rank": "auto",
    },
}


def tiny_config(architecture: str, **sizes) -> dict:
    return {"model_type": architecture} | _SHARED | ARCHITECTURES[architecture] | sizes


def tiny_model(architecture: str = "llama", *, seed: int = 0, scale: float = 4, **sizes):
    """A model with random weights, larger than usual: answers shall differ by prompt."""
    module = importlib.import_module(f"mlx_lm.models.{architecture}")
    mx.random.seed(seed)
    model = module.Model(module.ModelArgs.from_dict(tiny_config(architecture, **sizes)))
    model.update(tree_map(lambda array: array * scale, model.parameters()))
    return model


def write_tiny_model(
    folder: Path,
    architecture: str = "llama",
    *,
    seed: int = 0,
    template: str = CHAT_TEMPLATE,
    markers: Sequence[str] = (),
    **sizes,
) -> Path:
    """A folder that mlx-lm can load. The same seed gives the same files.

    ``markers``: more special tokens, for a ``template`` that has some.
    """
    folder.mkdir(parents=True)
    sizes.setdefault("vocab_size", _VOCABULARY + len(markers))
    weights = dict(tree_flatten(tiny_model(architecture, seed=seed, **sizes).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(tiny_config(architecture, **sizes)))
    context = sizes.get("max_position_embeddings", CONTEXT)
    write_tokenizer(folder, template, [*SPECIALS, *markers], context=context)
    return folder


def write_tokenizer(
    folder: Path,
    template: str = CHAT_TEMPLATE,
    specials: Sequence[str] = SPECIALS,
    *,
    context: int = CONTEXT,
) -> None:
    """A tokenizer whose tokens are bytes, and special tokens behind them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(special, special=True) for special in specials])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": "<|end|>",
                "chat_template": template,
                "model_max_length": context,
            }
        )
    )
