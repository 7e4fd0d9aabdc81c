"""Faster stand-ins for a few MLX operations on a CPU, for inference.

MLX's CPU back end computes exponentials one number at a time and builds rotary
embeddings from some fifteen small operations. In float32 on two cores that is two
thirds of a long prompt's prefill and a third of a decode step. These stand-ins
mean the same and take a fraction of it:

attention.py    scaled dot-product attention, its softmax by NumPy
rotary.py       rotary embeddings from tables that all layers share
activations.py  SwiGLU, its sigmoid by NumPy
layout.py       weights laid out the way the BLAS multiplies few rows fastest

They evaluate while the graph is built, so nothing can be differentiated or
compiled through them: they are for processes that do inference alone.
"""

from __future__ import annotations

import sys

import mlx.core as mx
from mlx_lm.models import activations as mlx_lm_activations

from apps.models.runtime.cpu.activations import swiglu
from apps.models.runtime.cpu.attention import scaled_dot_product_attention
from apps.models.runtime.cpu.rotary import rope

_mlx_attention = mx.fast.scaled_dot_product_attention
_mlx_rope = mx.fast.rope
_mlx_lm_swiglu = mlx_lm_activations.swiglu


def install() -> None:
    """Let MLX's functions of these names be ours."""
    mx.fast.scaled_dot_product_attention = scaled_dot_product_attention
    mx.fast.rope = rope
    _replace_in_models(_mlx_lm_swiglu, swiglu)


def uninstall() -> None:
    """Let them be MLX's own again: gradients do not pass through ours."""
    mx.fast.scaled_dot_product_attention = _mlx_attention
    mx.fast.rope = _mlx_rope
    _replace_in_models(swiglu, _mlx_lm_swiglu)


def _replace_in_models(former: object, present: object) -> None:
    """Models import ``swiglu`` by name, so those that are imported already have it too."""
    for name, module in list(sys.modules.items()):
        if name.startswith("mlx_lm.models.") and getattr(module, "swiglu", None) is former:
            module.swiglu = present  # type: ignore[attr-defined]
