"""SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202) with NumPy's exponential."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np

_SMALL = 4096
"""Numbers up to which staying in the graph costs less."""


def swiglu(gate: mx.array, x: mx.array) -> mx.array:
    """``silu(gate) * x``, element by element."""
    if gate.size < _SMALL or gate.dtype != mx.float32:
        small: mx.array = nn.silu(gate) * x
        return small
    mx.eval(gate, x)
    gates = np.asarray(gate)
    out = np.negative(gates)
    # exp overflows to infinity for gates below -88, where silu is 0 all the same.
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    out += 1
    np.divide(gates, out, out=out)
    out *= np.asarray(x)
    return mx.array(out)
