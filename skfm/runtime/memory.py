"""Memory: available bytes, errors that name a remedy, and arrays in huge pages."""

from __future__ import annotations

import errno
import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from .jit import CACHE_LINE
from .lazy import is_loaded, torch
from .limits import cgroup_room, machine_room, process_room

#: Size in bytes from which on arrays are worth huge pages.
_LARGE = 1 << 22
#: Number of bytes that is not looked for: reading the files of the system takes longer
#: than all else that a row needs.
_SMALL = 1 << 20
#: Distance in bytes between the starts of two tables, modulo the size of a page. If it
#: were zero, a store to a row would delay the load of the same row of the other table.
_STAGGER = 17 * CACHE_LINE
#: Parts of the messages of RuntimeErrors that are raised for lack of memory.
_SIGNS = ("DefaultCPUAllocator", "can't start new thread", "out of memory")


def zeros(
    shape: tuple[int, int], dtype: np.dtype[Any], *, place: int = 0
) -> np.ndarray:
    """Allocate zeros in huge pages, if the system has them.

    The rows of a large table are read at random. With pages of 4 KiB, most reads would
    also miss the cache of address translations. NumPy asks for huge pages in `empty`,
    but not in `zeros`, which commits memory only when it is touched.

    Parameters
    ----------
    shape : tuple of two int
        Shape of the array.
    dtype : dtype
        Type of its elements.
    place : int, default=0
        Number of the array among those that are used together: 0, 1, 2, ...

    Returns
    -------
    ndarray
        Zeros. The first row starts at the beginning of a cache line.
    """
    n_numbers, start = shape[0] * shape[1], place * _STAGGER
    n_bytes = n_numbers * dtype.itemsize
    if n_bytes < _LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        small = np.zeros(n_bytes + CACHE_LINE, np.uint8)
        start = -small.ctypes.data % CACHE_LINE
        return small[start : start + n_bytes].view(dtype).reshape(shape)
    memory = mmap.mmap(-1, start + n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # the system has no huge pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype, n_numbers, start).reshape(shape)


def available_memory() -> int:
    """Return the bytes that the machine, the cgroups and RLIMIT_AS all still allow."""
    return min(machine_room(), cgroup_room(), process_room())


@contextmanager
def memory_errors(what: str, advice: str) -> Iterator[None]:
    """Replace any error about a failed allocation by a MemoryError with a remedy.

    torch raises a RuntimeError, the system an OSError, and NumPy a MemoryError that
    names only a shape.

    Parameters
    ----------
    what : str
        Subject of the message, which needs the memory.
    advice : str
        Remedy, such as the parameter to lower.

    Raises
    ------
    MemoryError
        If an allocation fails.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not _is_unforeseen(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise MemoryError(f"{what} ran out of memory: {advice} ({reason})") from error


def _is_unforeseen(error: Exception) -> bool:
    """Return whether an error is about memory and does not come from `check_memory`."""
    if isinstance(error, MemoryError):
        return type(error) is not MemoryError or not error.args
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    is_torch = is_loaded("torch") and isinstance(error, torch.OutOfMemoryError)
    return is_torch or any(sign in str(error) for sign in _SIGNS)


def check_memory(
    needed: float, what: str, advice: str, available: int | None = None
) -> None:
    """Raise an error if more bytes are needed than are available.

    Parameters
    ----------
    needed : float
        Number of bytes needed.
    what : str
        Beginning of the message, such as "the weights need".
    advice : str
        Remedy, such as the parameter to lower.
    available : int, default=None
        Number of bytes available; None: those of `available_memory`, which is not
        asked for less than a mebibyte.

    Raises
    ------
    MemoryError
        If ``needed`` is larger than ``available``.
    """
    if available is None:
        if needed < _SMALL:
            return
        available = available_memory()
    if needed > available:
        raise MemoryError(
            f"{what} {needed / 2**30:.1f} GiB of {available / 2**30:.1f} GiB "
            f"available: {advice}"
        )
