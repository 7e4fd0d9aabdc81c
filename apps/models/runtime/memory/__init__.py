"""How much memory a model takes, before any of it is read. Imports no MLX.

configuration.py  names and parts of config.json
kinds.py     which layers keep all tokens, a window of them, or a state
layers.py    config.json to what each layer keeps and computes, in numbers
weights.py   how large the weights are, from headers, or from bytes alone
chat.py      weights + KV cache + working memory
training.py  weights + adapters + gradients + optimiser + activations
folder.py    what the engine's model pool reserves for a model folder
terms.py     the sum, its terms in words, and whether it fits

Every term is counted from what mlx-lm's models really keep, and checked against the
measured peak of real loads: `python -m benchmarks fit`.
"""

from apps.models.runtime.memory.chat import estimate_chat, weights_term
from apps.models.runtime.memory.folder import MemoryEstimate, estimate
from apps.models.runtime.memory.layers import Layer, Shape
from apps.models.runtime.memory.terms import ERROR_BOUND, Device, Estimate, Term, Verdict
from apps.models.runtime.memory.training import TrainingPlan, estimate_training
from apps.models.runtime.memory.weights import Weights

__all__ = [
    "ERROR_BOUND",
    "Device",
    "Estimate",
    "Layer",
    "MemoryEstimate",
    "Shape",
    "Term",
    "TrainingPlan",
    "Verdict",
    "Weights",
    "estimate",
    "estimate_chat",
    "estimate_training",
    "weights_term",
]
