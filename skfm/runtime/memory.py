"""Memory: how much there is, and arrays in large pages."""

from __future__ import annotations

import errno
import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch

from .jit import CACHE_LINE
from .limits import cgroup_room, machine_room, process_room

#: Arrays from this many bytes on are worth huge pages.
_LARGE = 1 << 22
#: Bytes between the starts of two tables modulo the size of a page. At the same place
#: of a page, a store to one row holds up the load of the same row of the other table.
_STAGGER = 17 * CACHE_LINE
#: Parts of the messages of a RuntimeError for want of memory.
_SIGNS = ("DefaultCPUAllocator", "can't start new thread", "out of memory")


def zeros(
    shape: tuple[int, int], dtype: np.dtype[Any], *, place: int = 0
) -> np.ndarray:
    """Allocate zeros, committed when touched, in huge pages if the system has them.

    Rows of a large table are read at random; with pages of 4 KiB most reads would miss
    the address translation cache too. NumPy asks for huge pages in `empty`, which
    would commit all of the memory at once, but not in `zeros`. Tables that are used
    side by side are given different ``place``s: 0, 1, 2, ...

    The first row begins a cache line.
    """
    n_numbers, start = shape[0] * shape[1], place * _STAGGER
    n_bytes = n_numbers * dtype.itemsize
    if n_bytes < _LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        small = np.zeros(n_bytes + CACHE_LINE, np.uint8)
        start = -small.ctypes.data % CACHE_LINE
        return small[start : start + n_bytes].view(dtype).reshape(shape)
    memory = mmap.mmap(-1, start + n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype, n_numbers, start).reshape(shape)


def available_memory() -> int:
    """Return the bytes that the machine, the cgroup and RLIMIT_AS all still allow."""
    return min(machine_room(), cgroup_room(), process_room())


@contextmanager
def memory_errors(what: str, advice: str) -> Iterator[None]:
    """Raise a MemoryError with a remedy for any failure of an allocation.

    torch raises a RuntimeError, the system an OSError, NumPy a MemoryError that tells
    a shape only.

    Parameters
    ----------
    what : str
        What needs the memory.
    advice : str
        What to lower.

    Raises
    ------
    MemoryError
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not _is_unforeseen(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise MemoryError(f"{what} ran out of memory: {advice} ({reason})") from error


def _is_unforeseen(error: Exception) -> bool:
    """Return whether an error is about memory, and not from `check_memory`."""
    if isinstance(error, MemoryError):
        return type(error) is not MemoryError or not error.args
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    is_torch = isinstance(error, torch.OutOfMemoryError)
    return is_torch or any(sign in str(error) for sign in _SIGNS)


def check_memory(
    needed: float, what: str, advice: str, available: int | None = None
) -> None:
    """Refuse what needs more bytes than ``available``, by default on the host.

    Raises
    ------
    MemoryError
        Saying what needs how much, and the advice.
    """
    available = available_memory() if available is None else available
    if needed > available:
        raise MemoryError(
            f"{what} {needed / 2**30:.1f} GiB of {available / 2**30:.1f} GiB "
            f"available: {advice}"
        )
