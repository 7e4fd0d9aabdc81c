"""The work of jobs that find something out about a version and change nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from apps.datasets.editing import base_of
from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.checks import texts_of
from apps.datasets.formats.errors import NoTokens
from apps.datasets.formats.languages import Languages
from apps.datasets.formats.near import BINS, near_duplicates, signature
from apps.datasets.formats.store.beside import NEAR, write_column
from apps.datasets.formats.tokens import learnt_rows, lengths_of, load_tokenizer
from apps.datasets.landing import staged
from apps.datasets.models import DatasetJob
from apps.jobs.conduct import Report
from apps.models.models import LocalModel

_TELL_EVERY = 500
_SAMPLES = 10


def find_near_duplicates(job: DatasetJob, report: Report) -> None:
    """Flag rows that are nearly equal to an earlier one, beside the version's rows."""
    base = base_of(job)
    with staged(base.rows * BINS * 4) as folder:
        signatures = np.memmap(folder / "signatures", np.uint32, "w+", shape=(base.rows, BINS))
        for number, row in enumerate(base.files.values()):
            signatures[number] = signature("\n".join(texts_of(row)))
            if number % _TELL_EVERY == 0:
                report(f"row {number:,} of {base.rows:,}", 0.8 * number / base.rows)
        found = near_duplicates(
            signatures, tell=lambda fraction: report("comparing rows", 0.8 + 0.2 * fraction)
        )
        found.write_parquet(folder / NEAR)
        (folder / NEAR).rename(base.folder / NEAR)
    job.figures = {
        "rows": found.height,
        "samples": found.sort("similarity", descending=True).head(_SAMPLES).to_dicts(),
    }


def count_tokens(job: DatasetJob, report: Report) -> None:
    """Token lengths of every row with a model's tokenizer; of a pair, of its longer answer.

    Raises BadDataOrder, NoTokens.
    """
    base, plan = base_of(job), job.plan
    model = LocalModel.objects.filter(pk=plan["model"]).first()
    if model is None:
        raise BadDataOrder("The model is deleted. Choose another one.")
    report("reading the tokenizer", 0.0)
    tokenizer = load_tokenizer(Path(model.path))
    counts: list[int | None] = []
    failures: list[dict[str, Any]] = []
    for number, row in enumerate(base.files.values()):
        try:
            sides = learnt_rows(row).values()
            counts.append(max(len(tokenizer.process(each, mask_prompt=False)[0]) for each in sides))
        except NoTokens as error:
            counts.append(None)
            failures.append({"row": number, "why": str(error)})
        if number % _TELL_EVERY == 0:
            report(f"row {number:,} of {base.rows:,}", number / base.rows)
    with staged() as folder:
        write_column("tokens", counts, folder, base.folder)
    known = [count for count in counts if count is not None]
    lengths = lengths_of(known, failed=len(failures), limit=plan["limit"])
    job.figures = asdict(lengths) | {"model": model.name, "failures": failures[:_SAMPLES]}


def tell_languages(job: DatasetJob, report: Report) -> None:
    """The language of every row's answer, beside the version's rows."""
    base = base_of(job)
    report("reading the model of languages", 0.0)
    languages = Languages()
    codes: list[str] = []
    for number, row in enumerate(base.files.values()):
        codes.append(languages.of_row(row))
        if number % _TELL_EVERY == 0:
            report(f"row {number:,} of {base.rows:,}", number / base.rows)
    with staged() as folder:
        write_column("language", codes, folder, base.folder)
    job.figures = {"languages": dict(Counter(codes).most_common())}
