"""The memory of a training step: weights, what is trained, and what backpropagation keeps.

Counted for mlx-lm's tuner: AdamW, one compiled step, rows padded to one length. The counts
of activations are of what each operation's gradient reads again; which those are was
settled by measuring how peaks grow with each size of a model, one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from apps.models.runtime.memory.chat import FUSED_HEAD_DIMS, SCAN_STEP, element_bytes
from apps.models.runtime.memory.configuration import integer
from apps.models.runtime.memory.layers import Layer, Shape
from apps.models.runtime.memory.terms import Device, Estimate, Term
from apps.models.runtime.memory.weights import Weights

Method = Literal["lora", "qlora", "dora", "full"]

QLORA_BITS = 4.5
"""Bits of a weight in MLX's usual 4-bit form: a 16-bit scale and bias for every 64."""

_NORMS_BEHIND = ("gemma2", "gemma3", "gemma4", "glm4")
"""model_types with a norm behind attention and MLP too, not only before them."""
_NORMED_KEYS = ("qwen3", "gemma3", "gemma4", "olmo2", "olmo3", "exaone4", "lfm2")
"""model_types that normalise queries and keys."""
_FLOAT32 = 4
_MOMENTS = 2
"""AdamW keeps two running means of each gradient."""
_LOGIT_COPIES = 4
"""Logits, their exponentials, the gradient of the loss, and what is being multiplied."""


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained, and on how much at a time."""

    method: Method = "lora"
    batch: int = 4
    length: int = 512
    """Tokens of each row."""
    rank: int = 8
    layers: int = 16
    """The last so many layers are trained; -1: all. A full fine-tune trains all."""
    checkpoint: bool = True
    """Whether a layer's activations are computed again instead of kept."""

    @property
    def tokens(self) -> int:
        return self.batch * self.length


def estimate_training(
    shape: Shape, weights: Weights, device: Device, plan: TrainingPlan
) -> Estimate:
    """The peak of one training step."""
    held = _weights(weights, device, plan)
    trained = _trained_parameters(shape, weights, plan)
    # mlx-lm makes adapters in float32, whatever the model is in.
    number = _held_width(weights, device) if plan.method == "full" else _FLOAT32
    terms = [held]
    if plan.method != "full":
        how = f"{trained:,} parameters of rank {plan.rank}, in float32"
        terms.append(Term("Adapter", number * trained, how))
    terms += [
        Term(
            "Optimiser",
            _MOMENTS * number * trained,
            f"AdamW's two means for each of {trained:,} trained parameters",
        ),
        Term("Gradients", number * trained, "one for each trained parameter"),
        *_activations(shape, device, plan),
    ]
    return Estimate(tuple(terms))


def _held_width(weights: Weights, device: Device) -> int:
    return 4 if device.compute_float32 else max(2, weights.nbytes // max(weights.parameters, 1))


def _weights(weights: Weights, device: Device, plan: TrainingPlan) -> Term:
    count = f"{weights.parameters:,} parameters"
    if weights.quantized and plan.method == "qlora":
        return Term("Weights", weights.nbytes, f"{count}, packed as they are")
    if plan.method == "qlora":
        nbytes = int(weights.parameters * QLORA_BITS / 8)
        return Term("Weights", nbytes, f"{count} in 4 bits, {QLORA_BITS} with their scales")
    if device.compute_float32:
        return Term("Weights", 4 * weights.parameters, f"{count} in float32, as a CPU computes")
    if plan.method == "full" and weights.quantized:
        how = f"{count} in 16 bits: packed ones can't be trained"
        return Term("Weights", 2 * weights.parameters, how)
    return Term("Weights", weights.nbytes, f"{count} as their files hold them")


def _trained_layers(shape: Shape, plan: TrainingPlan) -> tuple[Layer, ...]:
    if plan.method == "full" or plan.layers < 0:
        return shape.layers
    return shape.layers[-plan.layers :] if plan.layers else ()


def _trained_parameters(shape: Shape, weights: Weights, plan: TrainingPlan) -> int:
    if plan.method == "full":
        return weights.parameters
    ends = sum(_linear_ends(shape, layer) for layer in _trained_layers(shape, plan))
    return plan.rank * ends


def _linear_ends(shape: Shape, layer: Layer) -> int:
    """Inputs plus outputs of all linear layers in a block: what each rank of LoRA costs."""
    hidden, ends = shape.hidden, 0
    if layer.heads:
        keys = layer.kv_elements
        ends += hidden + layer.query_elements  # queries
        ends += 2 * hidden + keys  # keys and values
        ends += layer.value_elements + hidden  # output
    if layer.inner or layer.convolved:
        ends += hidden + layer.inner + max(layer.convolved, layer.inner)  # in
        ends += max(layer.inner, layer.convolved) + hidden  # out
    held = integer(shape.config, "num_experts", "n_routed_experts", "num_local_experts")
    if layer.experts:
        width = layer.feed_forward // layer.experts
        return ends + held * 3 * (hidden + width) + hidden + held
    return ends + 3 * (hidden + layer.feed_forward) if layer.feed_forward else ends


def _activations(shape: Shape, device: Device, plan: TrainingPlan) -> list[Term]:
    width = element_bytes(shape, device)
    layers = _trained_layers(shape, plan)
    kept = [_kept_elements(shape, layer, device, plan) for layer in layers]
    largest = max(kept, default=0)
    backward = max((_backward_elements(shape, each, device, plan) for each in layers), default=0)
    logits = _LOGIT_COPIES * plan.tokens * shape.vocabulary
    rows = f"{plan.batch} rows of {plan.length:,} tokens"
    if plan.checkpoint:
        # The first layer computed again meets the loss's gradient, every other the one before.
        again = 2 if largest > logits else 1
        logits = 0 if again == 2 else logits
        saved = plan.tokens * shape.hidden * len(layers) + again * largest
        how = f"of {rows}: the input of {len(layers)} layers, and {again} of them computed again"
    else:
        saved = sum(kept)
        how = f"of {rows}: what the gradients of {len(layers)} layers read again"
    terms = [
        Term("Activations", width * saved, how),
        Term("Backward pass", width * backward, "the gradients inside one layer"),
    ]
    if logits:
        how = (
            f"{_LOGIT_COPIES} numbers for each of the vocabulary's {shape.vocabulary:,} tokens at "
            "every place: the loss and its gradient"
        )
        terms.append(Term("Logits", width * logits, how))
    return terms


def _kept_elements(shape: Shape, layer: Layer, device: Device, plan: TrainingPlan) -> int:
    """What the forward pass of one layer leaves for its gradient.

    Inputs and outputs of both norms; queries, keys, values and attention's output; of the
    MLP gate, sigmoid, their product, up and the product of all: five times its width.
    GELU's tanh form leaves two more.
    """
    family = str(shape.config.get("model_type"))
    gelu = "gelu" in str(shape.config.get("hidden_activation")) or family.startswith("gemma")
    token = 4 * shape.hidden + layer.query_elements + layer.key_elements + layer.value_elements
    token += (7 if gelu else 5) * layer.feed_forward + 3 * layer.experts * shape.hidden
    if family.startswith(_NORMS_BEHIND):
        token += 4 * shape.hidden
    if family.startswith(_NORMED_KEYS):
        token += layer.query_elements + layer.key_elements // 2
    token += 6 * layer.inner + 3 * layer.convolved
    if plan.method == "dora":
        # Each linear layer's output, before it is scaled.
        token += 2 * shape.hidden + layer.query_elements + layer.kv_elements
        token += 2 * layer.feed_forward
    if plan.method != "full" and element_bytes(shape, device) == 2:
        # What a float32 adapter reads is widened, and kept so: norms' outputs, attention's, MLP's.
        token += 2 * shape.hidden + layer.value_elements + layer.feed_forward
    scores = _scores(layer, device, plan)
    scan = layer.scan_heads * min(plan.length, SCAN_STEP) * plan.tokens
    return plan.tokens * token + scores + 6 * scan


def _backward_elements(shape: Shape, layer: Layer, device: Device, plan: TrainingPlan) -> int:
    """Gradients alive inside one layer: of its stream, its MLP, and its scores."""
    token = 4 * shape.hidden + 2 * layer.feed_forward + 2 * layer.inner
    scan = layer.scan_heads * min(plan.length, SCAN_STEP) * plan.tokens
    return plan.tokens * token + 3 * _scores(layer, device, plan) + 3 * scan


def _scores(layer: Layer, device: Device, plan: TrainingPlan) -> int:
    """Attention's probabilities. MLX fuses attention in training on CUDA alone."""
    head_dim = layer.query_elements // max(layer.heads, 1)
    if device.backend == "cuda" and head_dim in FUSED_HEAD_DIMS:
        return 0
    return layer.heads * plan.length * plan.tokens * (2 if layer.latent else 1)
