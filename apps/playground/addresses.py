"""Numbers that a browser sends in an address or a header."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"[0-9]{1,18}")


def whole_number(given: str | None, *, otherwise: int) -> int:
    """``given`` as a number of at most 18 digits, or ``otherwise`` for anything else."""
    return int(given) if given and _WHOLE.fullmatch(given) else otherwise
