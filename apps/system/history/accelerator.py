"""How busy the accelerator is, from what each platform tells without root.

- macOS: ``ioreg`` prints the graphics driver's own statistics, unified memory included.
- Linux with NVIDIA: NVML, by nvidia-ml-py, which only the CUDA set-ups install.
- a plain CPU: the processor's use is the accelerator's; it is a series of its own.
"""

from __future__ import annotations

import plistlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

IOREG = ("/usr/sbin/ioreg", "-a", "-r", "-d", "1", "-c", "IOAccelerator")
SECONDS = 2.0
"""What the question may take; it takes about 20 ms."""


@dataclass(frozen=True)
class Use:
    """Of the first accelerator. None: the platform does not say."""

    percent: float | None = None
    memory_bytes: int | None = None


def accelerator_use(backend: str) -> Use:
    """Now. ``backend``: as the engine names it."""
    if backend == "metal" and sys.platform == "darwin":
        return _metal()
    return _nvidia() if backend == "cuda" else Use()


def _metal() -> Use:
    try:
        told = subprocess.run(IOREG, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return Use()
    return parsed_ioreg(told.stdout)


def parsed_ioreg(plist: bytes) -> Use:
    """What ``ioreg -a`` printed, as Use; nothing where it is not understood."""
    try:
        found: Any = plistlib.loads(plist)
    except (plistlib.InvalidFileException, ExpatError, ValueError):
        return Use()
    for entry in found if isinstance(found, list) else ():
        figures = entry.get("PerformanceStatistics", {}) if isinstance(entry, dict) else {}
        percent = figures.get("Device Utilization %")
        if isinstance(percent, int | float):
            used = figures.get("In use system memory")
            return Use(float(percent), used if isinstance(used, int) else None)
    return Use()


def _nvidia() -> Use:
    try:
        import pynvml  # only where the CUDA back end is installed
    except ImportError:
        return Use()
    try:
        pynvml.nvmlInit()
        device = pynvml.nvmlDeviceGetHandleByIndex(0)
        rates = pynvml.nvmlDeviceGetUtilizationRates(device)
        memory = pynvml.nvmlDeviceGetMemoryInfo(device)
        return Use(float(rates.gpu), int(memory.used))
    except pynvml.NVMLError:
        return Use()
