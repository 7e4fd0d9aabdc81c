"""Gradient checkpointing: activations computed again for the gradients instead of kept.

As mlx-lm's ``grad_checkpoint``, but of single blocks and not of their whole class, and with
the same dropout both times: MLX would draw new numbers for the second computation, and the
gradients would be those of another step.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import mlx.nn as nn


def checkpoint_block(block: nn.Module) -> None:
    """Have this block computed again for its gradients. Behind its adapters."""
    for module in block.modules():
        if type(module) is nn.Dropout:
            module.__class__ = _RepeatableDropout
            module.drawn = SimpleNamespace(key=None)
    kind: Any = type(block)

    class Checkpointed(kind):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if not self.training:
                return kind.__call__(self, *args, **kwargs)
            dropouts = [each for each in self.modules() if isinstance(each, _RepeatableDropout)]
            keys = mx.random.randint(0, 2**31 - 1, (len(dropouts), 2)).astype(mx.uint32)

            def compute(parameters: Any, keys: mx.array, *args: Any, **kwargs: Any) -> Any:
                self.update(parameters)
                for dropout, key in zip(dropouts, keys, strict=True):
                    dropout.drawn.key = mx.stop_gradient(key)
                return kind.__call__(self, *args, **kwargs)

            # What is trained has to be an argument, or it would get no gradient.
            return mx.checkpoint(compute)(self.trainable_parameters(), keys, *args, **kwargs)

    block.__class__ = Checkpointed


class _RepeatableDropout(nn.Dropout):  # type: ignore[misc]
    drawn: SimpleNamespace
    """The key of its mask. In a namespace, or it would count as a parameter."""

    def __call__(self, x: mx.array) -> mx.array:
        kept = self._p_1
        if kept == 1 or not self.training:
            return x
        mask = mx.random.bernoulli(kept, x.shape, key=self.drawn.key)
        dropped: mx.array = (1 / kept) * mask * x
        return dropped
