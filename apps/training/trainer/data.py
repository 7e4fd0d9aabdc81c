"""The rows to learn from, read from JSONL files.

Rows are rendered and masked by mlx-lm's own datasets, so what is trained on is what
mlx_lm.lora would train on; pairs, which it does not know, by ``preferences``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from jinja2 import TemplateError
from mlx_lm.tuner.datasets import create_dataset

from apps.training.trainer.batches import Item, Pair, Row, Splits, TokenRows
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.errors import BadData
from apps.training.trainer.preferences import is_pair, tokens_of_pair

Make = Callable[[dict[str, Any]], list[tuple[list[int], int]]]
"""Of a row: the tokens of each text in it, and the index of the first one to learn."""

_UNUSABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError, TemplateError)
"""What mlx-lm, tokenizers and templates raise on rows of other shapes."""


def read_splits(tokenizer: Any, config: TrainingConfig, *, pairs: bool) -> Splits:
    """All that the run needs of its data folder. Raises BadData."""
    folder = Path(config.data)

    def read(name: str) -> TokenRows:
        return read_split(folder / name, tokenizer, config, pairs=pairs)

    test = read("test.jsonl") if config.test else TokenRows([])
    splits = Splits(read("train.jsonl"), read("valid.jsonl"), test)
    require_rows(splits.train, "train.jsonl", config.max_seq_length)
    if config.test:
        require_rows(test, "test.jsonl", config.max_seq_length)
    return splits


def read_split(path: Path, tokenizer: Any, config: TrainingConfig, *, pairs: bool) -> TokenRows:
    """The split in the file ``path``. Raises BadData, naming the line."""
    records = _records(path)
    if not records:
        return TokenRows([])
    _require_kind(records[0], path, pairs=pairs)
    make: Make = (
        (lambda record: tokens_of_pair(record, tokenizer))
        if pairs
        else _rows(records, tokenizer, path, config)
    )
    limit = config.max_seq_length
    items: list[Item] = []
    truncated = dropped = 0
    for index, record in enumerate(records):
        try:
            found = make(record)
        except _UNUSABLE as error:
            raise BadData(
                f"Line {index + 1} of {path.name} can't be turned into tokens: {error!r}. Correct "
                "it or remove it."
            ) from error
        truncated += any(len(tokens) > limit for tokens, _ in found)
        rows = [Row(np.array(tokens[:limit], np.int32), offset, index) for tokens, offset in found]
        if all(row.learnt > 0 for row in rows):
            items.append(Pair(rows[0], rows[1], index) if pairs else rows[0])
        else:
            dropped += 1
    return TokenRows(items, truncated=truncated, dropped=dropped)


def _require_kind(record: dict[str, Any], path: Path, *, pairs: bool) -> None:
    """The first row tells what the others are. Raises BadData."""
    if pairs and not is_pair(record):
        raise BadData(
            f"The rows of {path.name} are no pairs: learning by preference needs chosen and "
            "rejected in each. Choose such data, or the objective sft."
        )
    if not pairs and is_pair(record) and not {"messages", "completion", "text"} & record.keys():
        raise BadData(
            f"The rows of {path.name} are pairs of answers. Choose the objective dpo or orpo, or "
            "other data."
        )


def _rows(
    records: list[dict[str, Any]], tokenizer: Any, path: Path, config: TrainingConfig
) -> Make:
    """Raises BadData where mlx-lm knows no such rows."""
    try:
        options = SimpleNamespace(mask_prompt=config.mask_prompt)
        dataset = create_dataset(records, tokenizer, options)
    except (ValueError, TypeError) as error:
        raise BadData(
            f"The rows of {path.name} are of no kind that can be trained on: each needs messages, "
            f"prompt and completion, or text. ({str(error).splitlines()[0]})"
        ) from error
    return lambda record: [dataset.process(record)]


def require_rows(rows: TokenRows, name: str, max_seq_length: int) -> None:
    """Raises BadData where there is nothing to learn from."""
    if len(rows):
        return
    if rows.dropped:
        raise BadData(
            f"None of the {rows.dropped} rows of {name} has a token to learn within the first "
            f"{max_seq_length}. Raise max_seq_length, shorten the prompts, or train on the "
            "prompts too."
        )
    raise BadData(f"{name} has no rows. Add some, or choose another dataset.")


def _records(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a JSONL file; none where there is no file."""
    if not path.exists():
        return []
    records = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise BadData(f"Line {number} of {path.name} is no JSON object.")
                records.append(record)
    except json.JSONDecodeError as error:
        raise BadData(f"Line {number} of {path.name} is no JSON: {error}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path.name} can't be read: {error}.") from error
    return records
