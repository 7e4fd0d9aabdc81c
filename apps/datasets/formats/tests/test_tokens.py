"""The preview's tokens and mask are those that mlx-lm trains with, one for one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from apps.datasets.formats.errors import NoTokens
from apps.datasets.formats.tokens import RowTokenizer, lengths_of, load_tokenizer

TEMPLATE = """{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif -%}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and not enable_thinking %}<|off|>{% endif %}{% endif -%}"""

TEXTS = ["Hello wörld, how are you?", "Fine, thanks 😀. And  you?\n\nBye."]

ROWS: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "user", "content": TEXTS[0]},
            {"role": "assistant", "content": TEXTS[1]},
        ]
    },
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two"},
            {"role": "user", "content": "Three"},
            {"role": "assistant", "content": "Four 日本"},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"type": "function", "function": {"name": "w", "arguments": {"a": 1}}}
                ],
            },
        ],
        "tools": [{"type": "function", "function": {"name": "w", "parameters": {}}}],
    },
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Nobody answers."},
        ]
    },
    {"prompt": TEXTS[0], "completion": TEXTS[1]},
    {"text": " ".join(TEXTS)},
]


@pytest.fixture(scope="module", params=[(), ("<think>", "</think>")], ids=["plain", "thinking"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer with a chat template, as model folders have them."""
    path = tmp_path_factory.mktemp("tokenizer")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", *request.param]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "eos_token_id": 1}))
    return path


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> RowTokenizer:
    return load_tokenizer(folder)


@pytest.mark.parametrize("mask", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row))
def test_tokens_and_offset_are_those_of_mlx_lm(
    folder: Path, tokenizer: RowTokenizer, row: dict[str, Any], mask: bool
) -> None:
    from mlx_lm.tokenizer_utils import load
    from mlx_lm.tuner.datasets import create_dataset

    mask = mask and "text" not in row
    theirs = create_dataset([row], load(folder), SimpleNamespace(mask_prompt=mask)).process(row)
    assert tokenizer.process(row, mask_prompt=mask) == tuple(theirs)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row))
def test_the_texts_of_the_tokens_are_the_exact_text(
    tokenizer: RowTokenizer, row: dict[str, Any]
) -> None:
    seen = tokenizer.see(row, mask_prompt=True, limit=10_000)
    text = "".join(token.text for token in seen.tokens)
    said = [message["content"] for message in row.get("messages", [])] or [
        row[name] for name in ("prompt", "completion", "text") if name in row
    ]
    assert all(each in text for each in said)
    assert text.count("<|im_end|>") == sum(token.is_special for token in seen.tokens) - text.count(
        "<|im_start|>"
    )


def test_the_prompt_is_seen_and_the_answer_is_learnt(tokenizer: RowTokenizer) -> None:
    seen = tokenizer.see(ROWS[0], mask_prompt=True, limit=10_000)
    learnt = "".join(token.text for token in seen.tokens if token.is_learnt)
    # As mlx-lm counts it: a mark that the template puts before an answer that is to be
    # generated, and not before one that is given, masks as many tokens of the answer.
    assert learnt
    assert (TEXTS[1] + "<|im_end|>\n").endswith(learnt)
    assert TEXTS[0] not in learnt


def test_tokens_behind_the_limit_are_cut(tokenizer: RowTokenizer) -> None:
    seen = tokenizer.see(ROWS[0], mask_prompt=False, limit=5)
    assert [token.is_cut for token in seen.tokens[:6]] == [False] * 5 + [True]
    assert seen.cut == seen.length - 5
    assert seen.learnt == 4


def test_a_row_that_the_template_does_not_take_is_told(tokenizer: RowTokenizer) -> None:
    with pytest.raises(NoTokens, match="does not take this row"):
        tokenizer.process({"chosen": "a", "rejected": "b"}, mask_prompt=False)


def test_a_folder_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoTokens, match="can't be read"):
        load_tokenizer(tmp_path)


def test_lengths_tell_what_a_limit_costs() -> None:
    lengths = lengths_of([10, 20, 30, 40], failed=1, limit=25)
    assert (lengths.truncated, lengths.lost, lengths.tokens) == (2, 20, 100)
    assert (lengths.longest, lengths.median) == (40, 25)
    assert sum(bar.count for bar in lengths.bars) == 4
    assert lengths.padding["1"] == 0
    assert lengths.padding["2"] == pytest.approx(1 - 80 / 90)
