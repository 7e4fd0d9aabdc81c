"""The heap of a process that has just begun."""

from __future__ import annotations

import platform

import pytest

from apps.models.runtime.tests.new_process import in_new_process

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap of glibc")


def test_large_blocks_stay_out_of_the_heap_even_after_a_larger_one_was_freed() -> None:
    mapped = in_new_process("""
        import ctypes
        from apps.models.runtime import c_heap

        class Malloc(ctypes.Structure):  # https://man7.org/linux/man-pages/man3/mallinfo.3.html
            _fields_ = [(name, ctypes.c_size_t) for name in (
                "arena", "ordblks", "smblks", "hblks", "hblkhd",
                "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
            )]

        library = ctypes.CDLL(None)
        library.malloc.restype = ctypes.c_void_p
        library.mallinfo2.restype = Malloc
        c_heap.keep_large_blocks_apart()
        library.free(ctypes.c_void_p(library.malloc(4 * c_heap.LARGE_BYTES)))
        before = library.mallinfo2().hblkhd
        library.malloc(2 * c_heap.LARGE_BYTES)
        print((library.mallinfo2().hblkhd - before) // c_heap.LARGE_BYTES)
    """)

    assert int(mapped) == 2


def test_holes_between_what_stays_in_the_heap_are_given_back() -> None:
    given_back = in_new_process("""
        import psutil
        from apps.models.runtime import c_heap

        MIB = 1024 * 1024
        del (large := [bytes(30 * MIB)])[:]  # from now on blocks of this size come from the heap
        blocks = [b"x" * MIB for _ in range(160)]
        del blocks[:128], large
        process = psutil.Process()
        before = process.memory_info().rss
        c_heap.trim()
        print((before - process.memory_info().rss) // MIB)
    """)

    assert int(given_back) > 100
