"""What preflight has to say about a job's data: rows, kind, lengths, what is learnt of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.models.fit import Machine
from apps.models.models import LocalModel
from apps.training.findings import Finding
from apps.training.masking import hidden_answer_tokens
from apps.training.material import Material
from apps.training.suggestions import Subject, suggest
from apps.training.trainer.config import TrainingConfig

_TRUNCATED = 0.05
"""Share of the tokens that may be cut off without a word."""


def of_data(
    base: LocalModel,
    subject: Subject,
    material: Material,
    machine: Machine,
    config: TrainingConfig,
) -> Iterator[Finding]:
    """Everything about the rows, the gravest of each kind alone."""
    yield from _rows(material, config)
    yield from _objective(material, config)
    yield from _lengths(subject, material, machine, config)
    yield from _plain_text(material, config)
    yield from _masking(base, material, config)


def _rows(material: Material, config: TrainingConfig) -> Iterator[Finding]:
    if not material.rows:
        yield Finding("refused", "train.jsonl has no rows. Add some, or choose other data.")
    elif material.rows < config.batch_size:
        yield Finding(
            "warning",
            f"The batch size is {config.batch_size} and there are {material.rows} rows: every "
            "batch has them all.",
            {"batch_size": material.rows},
        )
    if not material.validation_rows:
        yield Finding(
            "warning",
            "There are no validation rows: nothing tells when the model begins to learn by heart. "
            "Split the dataset, or add valid.jsonl to the folder.",
        )
        if config.patience is not None or config.keep_best:
            yield Finding(
                "refused",
                "Early stopping and keeping the best need validation rows. Split the dataset, add "
                "valid.jsonl to the folder, or switch both off.",
                {"patience": None, "keep_best": False},
            )
    if config.test and not material.test_rows:
        yield Finding(
            "refused",
            "There are no test rows to measure the result on. Split the dataset, add test.jsonl "
            "to the folder, or switch the test off.",
            {"test": False},
        )


def _objective(material: Material, config: TrainingConfig) -> Iterator[Finding]:
    if material.rows and material.pairs != (config.objective != "sft"):
        yield Finding(
            "refused",
            "The rows are pairs of a chosen and a rejected answer: learn them with dpo or orpo, "
            "or choose other data."
            if material.pairs
            else f"{config.objective} learns from pairs: every row needs chosen and rejected. "
            "Choose such data, or the objective sft.",
            {"objective": "dpo" if material.pairs else "sft"},
        )


def _lengths(
    subject: Subject, material: Material, machine: Machine, config: TrainingConfig
) -> Iterator[Finding]:
    limit = config.max_seq_length
    suited = suggest(subject, material, machine, config.method, config.objective)["max_seq_length"]
    unlearnt = list(_unlearnt(material, config, suited))
    if unlearnt:
        yield from unlearnt
    elif material.truncated(limit) == 1 and limit < suited:
        yield Finding(
            "refused",
            f"All rows are longer than {limit:,} tokens, so that each is cut off; {suited:,} suit "
            "model, data and memory.",
            {"max_seq_length": suited},
        )
    elif (lost := material.lost(limit)) > _TRUNCATED:
        yield Finding(
            "warning",
            f"{material.truncated(limit):.0%} of the rows are longer than {limit:,} tokens: "
            f"{lost:.0%} of the text is cut off. The longest row seen has "
            f"{material.length_of(1):,}.",
            {"max_seq_length": -(-material.length_of(0.99) // 32) * 32},
        )


def _unlearnt(material: Material, config: TrainingConfig, suited: int) -> Iterator[Finding]:
    """Where the length limit leaves nothing of the answers, and only these are learnt."""
    if not material.prompts or not (config.mask_prompt or material.pairs):
        return
    if material.prompts[0] < config.max_seq_length:
        return
    longer = material.prompts[0] < suited
    mended: dict[str, Any] = {"mask_prompt": False}
    remedy = "learn the prompts too, or shorten them"
    if longer:
        mended, remedy = {"max_seq_length": suited}, f"{suited:,} tokens leave room for answers"
    elif material.pairs:
        mended, remedy = {}, "shorten the prompts, or choose a model that reads more"
    yield Finding(
        "refused",
        f"Every prompt alone has {config.max_seq_length:,} tokens or more: nothing of an answer "
        f"is left to learn. {remedy[0].upper()}{remedy[1:]}.",
        mended,
    )


def _plain_text(material: Material, config: TrainingConfig) -> Iterator[Finding]:
    if config.mask_prompt and material.rows and not material.prompts:
        yield Finding(
            "refused",
            "The rows are plain text: there is no prompt in them to leave out. Learn all of it.",
            {"mask_prompt": False},
        )


def _masking(base: LocalModel, material: Material, config: TrainingConfig) -> Iterator[Finding]:
    hidden = hidden_answer_tokens(Path(base.path)) if config.mask_prompt and material.rows else 0
    if hidden:
        yield Finding(
            "warning",
            f"The chat template of {base.name} puts a mark before an answer that is yet to come: "
            f"the first {hidden} tokens of every answer are taken for the prompt and not learnt. "
            "Learn the prompts too, or begin the answers with the same mark.",
            {"mask_prompt": False},
        )
