"""What a model is called in addresses and commands."""

from __future__ import annotations

import re

MAX_LENGTH = 120
"""Of LocalModel.slug."""


RESERVED = frozenset({"disk", "import", "jobs"})
"""Pages that stand where a model of this name would have its own."""


def slug_from(text: str) -> str:
    """The nearest to a file's or a repository's name that a model may be called.

    Empty where nothing of ``text`` can stay.
    """
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:MAX_LENGTH]
