"""Memory for tables."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np

#: Arrays from this many bytes on are worth huge pages.
_LARGE = 1 << 22


def zeros(shape: tuple[int, int], dtype: np.dtype[Any]) -> np.ndarray:
    """Zeros that the system commits when touched, in huge pages where it has them.

    Rows of a large table are read at random; with pages of 4 KiB most reads would miss
    the address translation cache too. NumPy asks for huge pages in `empty`, which
    would commit all of the memory at once, but not in `zeros`.
    """
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    if n_bytes < _LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(shape, dtype)
    memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype).reshape(shape)
