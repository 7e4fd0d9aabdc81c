"""What ``mask_prompt`` takes for the prompt, as far as a model's chat template tells."""

from __future__ import annotations

from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from apps.datasets.formats.errors import NoTokens
from apps.datasets.formats.tokens import load_tokenizer


@lru_cache(maxsize=8)
def hidden_answer_tokens(model: Path) -> int:
    """Tokens at the start of an answer that are not learnt with ``mask_prompt``.

    mlx-lm counts the prompt's tokens as they are before an answer is generated. Some
    templates put a mark there (an opened thought) that a finished answer does not have:
    so many tokens of the answer are taken for it. 0 where the model has no such template.
    """
    try:
        tokenizer = load_tokenizer(model)
        (first, offset), (second, _) = (
            tokenizer.process({"prompt": "Hello", "completion": answer}, mask_prompt=True)
            for answer in ("1 2 3 4 5 6 7 8 9", "9 8 7 6 5 4 3 2 1")
        )
    except NoTokens:
        return 0
    # Whatever the two rows share is prompt and markup.
    begin = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))))
    return max(offset - begin, 0)
