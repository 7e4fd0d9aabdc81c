"""What this machine computes with, settled before MLX is imported.

MLX's Linux CPU wheel carries the reference BLAS, some forty times slower than a
tuned one. The dynamic linker gives ``cblas_sgemm`` to whichever library offers
it first, so loading a fast BLAS globally before ``import mlx`` is all it takes.
Only float32 gains from it; hence ``AcceleratorProfile.compute_float32``.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from apps.models.runtime import c_heap

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says how much memory a container may use: cgroups v2, then v1."""

MEMORY_SHARE = 0.75
"""Of the machine's memory that models may use, unless a ceiling is configured."""

FREE_SHARE = 16
"""One part in so many of the memory ceiling that MLX may keep as free buffers on a GPU."""

Backend = Literal["metal", "cuda", "cpu"]
Blas = Literal["mkl", "openblas", "accelerate", "reference"]

_NO_FAST_BLAS = (
    "No fast BLAS was found, so this CPU computes about forty times slower than it could. "
    "Install OpenBLAS (Debian and Ubuntu: `apt install libopenblas0-pthread`) or, on x86-64, "
    "MKL (`pip install mkl`), then start again."
)
_TOO_LATE = (
    "MLX was imported before its BLAS could be chosen, so it computes with the slow reference "
    "one. Call accelerator.prepare() before the first `import mlx`."
)


@dataclass(frozen=True)
class AcceleratorProfile:
    """The device MLX runs on, and how models are to be held on it."""

    backend: Backend
    name: str
    """The device's own name, for people to read."""
    blas: Blas | None
    """What float32 matrix products run on; None on a GPU."""
    memory_bytes: int
    """Memory models may be placed in: the GPU's own, or what this process may have."""
    warning: str | None
    """Why this is slower than it need be and what to do about it."""
    compute_float32: bool
    """Hold weights in float32: on a CPU the other types are far slower."""


@functools.cache
def prepare() -> AcceleratorProfile:
    """Choose the BLAS, import MLX and describe the device; later calls repeat the answer.

    Has to run before anything else imports MLX. Never fails: where a detail
    can't be had, the profile says less.
    """
    linux = sys.platform == "linux"
    too_late = "mlx.core" in sys.modules
    blas: Blas | None = _preload_blas() if linux and not too_late else None
    import mlx.core as mx  # not before the BLAS

    backend = _backend(mx)
    info = _device_info(mx)
    name = str(info.get("device_name") or platform.processor() or platform.machine())
    if backend != "cpu":
        return AcceleratorProfile(backend, name, None, _device_memory(info), None, False)
    c_heap.keep_large_blocks_apart()
    if not linux:
        return AcceleratorProfile("cpu", name, "accelerate", host_memory(), None, True)
    warning = None if blas else (_TOO_LATE if too_late else _NO_FAST_BLAS)
    return AcceleratorProfile("cpu", name, blas or "reference", host_memory(), warning, True)


def limit_memory(profile: AcceleratorProfile, ceiling_bytes: int) -> None:
    """Tell MLX how much memory to keep: what is in use resident, what is free within bounds.

    Left to itself, MLX keeps free buffers up to the size of the machine on a GPU (32 MiB
    on a CPU), and macOS may page out weights that rest for a moment. Process-wide.
    """
    if profile.backend == "cpu":
        return
    import mlx.core as mx

    mx.set_cache_limit(ceiling_bytes // FREE_SHARE)
    if profile.backend == "metal":
        mx.set_wired_limit(int(mx.device_info()["max_recommended_working_set_size"]))


def release_memory() -> None:
    """Return freed memory to the system; on the thread that uses MLX.

    MLX keeps free buffers for the next use, and the C library keeps pages of its heap.
    """
    import mlx.core as mx

    mx.clear_cache()
    c_heap.trim()


def _preload_blas() -> Blas | None:
    """Load the first fast BLAS found, for every library loaded after it."""
    for blas, library in _blas_candidates():
        try:
            loaded = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        if hasattr(loaded, "cblas_sgemm"):
            return blas
    return None


def _blas_candidates() -> Iterator[tuple[Blas, str]]:
    """Libraries to try. The system's own OpenBLAS comes first: it was chosen for this CPU."""
    yield "openblas", "libopenblas.so.0"
    yield "mkl", "libmkl_rt.so.3"
    try:
        files = importlib.metadata.distribution("mkl").files or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name.startswith("libmkl_rt.so"):
            yield "mkl", str(file.locate())


def _backend(mx: Any) -> Backend:
    if mx.default_device().type != mx.DeviceType.gpu:
        return "cpu"
    return "metal" if mx.metal.is_available() else "cuda"


def _device_info(mx: Any) -> dict[str, Any]:
    try:
        return dict(mx.device_info())
    except RuntimeError:
        return {}


def _device_memory(info: dict[str, Any]) -> int:
    """Bytes of the GPU: Metal and CUDA name the number differently."""
    return int(info.get("memory_size") or info.get("total_memory") or host_memory())


def host_memory() -> int:
    """Bytes of main memory this process may use: a container's limit where there is one."""
    total = int(psutil.virtual_memory().total)
    for limit in CONTAINER_LIMITS:
        try:
            total = min(total, int(limit.read_text()))
        except (OSError, ValueError):  # absent, or "max"
            continue
    return total
