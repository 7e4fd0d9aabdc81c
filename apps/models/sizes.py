"""Numbers of bytes for people, in powers of ten as the hub counts and disks are sold."""

from __future__ import annotations

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"))


def readable(nbytes: float) -> str:
    """``4283000000`` becomes ``4.3 GB``; what is less than a kilobyte counts as one."""
    for scale, unit in _UNITS:
        if nbytes >= scale:
            return f"{nbytes / scale:.1f} {unit}"
    return f"{-(-int(nbytes) // 1000)} kB"
