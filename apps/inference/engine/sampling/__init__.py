"""Sampling: rows of one batch, each with a seed, filters, penalties, bias or grammar of its own.

Each row draws with keys of its own, made from its seed and the position of the
token. So a row's randomness depends on neither its neighbours nor the order in which
rows joined, and a seeded request repeats itself in any company, as far as the logits
do.
"""

from apps.inference.engine.sampling.batch import accept, sample
from apps.inference.engine.sampling.row import RowSampler

__all__ = ["RowSampler", "accept", "sample"]
