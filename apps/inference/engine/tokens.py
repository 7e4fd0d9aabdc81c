"""Token sequences compared."""

from __future__ import annotations

Tokens = tuple[int, ...]


def agreement(stretch: Tokens, tokens: Tokens, at: int = 0) -> int:
    """How many tokens of ``stretch`` equal those of ``tokens`` from ``at`` on.

    Halves the interval in question instead of walking it: comparing slices is
    much faster than comparing tokens one by one, and prompts are long.
    """
    limit = min(len(stretch), len(tokens) - at)
    if stretch[:limit] == tokens[at : at + limit]:
        return limit
    agreed, differs = 0, limit
    while differs - agreed > 1:
        middle = (agreed + differs) // 2
        if stretch[agreed:middle] == tokens[at + agreed : at + middle]:
            agreed = middle
        else:
            differs = middle
    return agreed
