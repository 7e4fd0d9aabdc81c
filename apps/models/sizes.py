"""Numbers of bytes for people."""

from __future__ import annotations

from django.template.defaultfilters import filesizeformat

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"))


def readable(nbytes: float) -> str:
    """Of files, in powers of ten as disks are sold: ``4283000000`` becomes ``4.3 GB``.

    What is less than a kilobyte counts as one.
    """
    for scale, unit in _UNITS:
        if nbytes >= scale:
            return f"{nbytes / scale:.1f} {unit}"
    return f"{-(-int(nbytes) // 1000)} kB"


def readable_memory(nbytes: float) -> str:
    """Of memory, in powers of two as memory is sold: ``17179869184`` becomes ``16.0 GB``."""
    return str(filesizeformat(nbytes)).replace("\xa0", " ")
