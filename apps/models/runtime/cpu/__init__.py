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
compiled through them: only a process that does inference installs them.
"""

from __future__ import annotations

import mlx.core as mx
from mlx_lm.models import activations as mlx_lm_activations

from apps.models.runtime.cpu.activations import swiglu
from apps.models.runtime.cpu.attention import scaled_dot_product_attention
from apps.models.runtime.cpu.rotary import rope


def install() -> None:
    """Let MLX's functions of these names be ours, for models loaded from now on."""
    mx.fast.scaled_dot_product_attention = scaled_dot_product_attention
    mx.fast.rope = rope
    # Models import it by name, so this has to come before they are imported.
    mlx_lm_activations.swiglu = swiglu
