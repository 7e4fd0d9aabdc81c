from __future__ import annotations

import sys
from pathlib import Path

import pytest

from apps.models.runtime import accelerator
from apps.models.runtime.tests.new_process import in_new_process

LINUX_CPU = sys.platform == "linux" and accelerator.prepare().backend == "cpu"


def test_the_profile_is_settled_once() -> None:
    assert accelerator.prepare() is accelerator.prepare()


def test_the_profile_describes_this_machine() -> None:
    profile = accelerator.prepare()

    assert profile.name
    assert profile.memory_bytes > 2**28
    assert profile.compute_float32 == (profile.backend == "cpu")
    assert (profile.blas is None) == (profile.backend != "cpu")


@pytest.mark.skipif(not LINUX_CPU, reason="only a Linux CPU chooses its BLAS")
def test_a_fast_blas_really_computes_the_float32_products() -> None:
    answer = in_new_process("""
        import time
        from apps.models.runtime import accelerator
        profile = accelerator.prepare()
        import mlx.core as mx
        a, b = mx.random.normal((768, 768)), mx.random.normal((768, 768))
        mx.eval(a, b, a @ b)
        best = 1e9
        for _ in range(20):
            start = time.perf_counter()
            mx.eval(a @ b)
            best = min(best, time.perf_counter() - start)
        print(profile.blas, 2 * 768**3 / best / 1e9)
    """)
    blas, gigaflops = answer.split()
    if blas == "reference":
        pytest.skip("no fast BLAS is installed here")

    # The reference BLAS reaches 6 GFLOP/s at best.
    assert float(gigaflops) > 10


@pytest.mark.skipif(not LINUX_CPU, reason="only a Linux CPU chooses its BLAS")
def test_loading_a_model_module_first_still_gets_the_fast_blas() -> None:
    answer = in_new_process("""
        from apps.models.runtime import loading
        from apps.models.runtime import accelerator
        print(accelerator.prepare().warning)
    """)

    assert "imported before" not in answer


@pytest.mark.skipif(not LINUX_CPU, reason="only a Linux CPU chooses its BLAS")
def test_preparing_after_mlx_was_imported_says_that_it_is_too_late() -> None:
    answer = in_new_process("""
        import mlx.core
        from apps.models.runtime import accelerator
        profile = accelerator.prepare()
        print(profile.blas, profile.warning)
    """)

    assert answer.startswith("reference MLX was imported before")


@pytest.mark.skipif(not LINUX_CPU, reason="only a Linux CPU chooses its BLAS")
def test_without_any_fast_blas_the_warning_names_the_remedy() -> None:
    answer = in_new_process("""
        from apps.models.runtime import accelerator
        accelerator._blas_candidates = lambda: iter([("mkl", "libabsent.so"), ("mkl", "libc.so.6")])
        profile = accelerator.prepare()
        print(profile.blas, profile.warning)
    """)

    assert answer.startswith("reference No fast BLAS was found")
    assert "libopenblas0-pthread" in answer


def test_a_containers_memory_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none").write_text("max\n")
    (tmp_path / "limit").write_text("123456789\n")
    files = (tmp_path / "absent", tmp_path / "none", tmp_path / "limit")
    monkeypatch.setattr(accelerator, "CONTAINER_LIMITS", files)

    assert accelerator.host_memory() == 123456789
