"""What the model answers to the chosen prompts, greedily, in the middle of its training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.nn as nn
from mlx_lm.generate import generate

from apps.training.trainer.config import TrainingConfig


def answers(model: nn.Module, tokenizer: Any, config: TrainingConfig) -> Iterator[str]:
    """One text for each of the configuration's prompts."""
    for prompt in config.prompts:
        tokens = (
            tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False
            )
            if tokenizer.chat_template
            else tokenizer.encode(prompt)
        )
        text: str = generate(model, tokenizer, tokens, max_tokens=config.prompt_tokens)
        yield text
