"""Batches on a device other than the CPU: how they get there, and what stays there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .batches import Batch, Rows
from .queries import Queries

#: Rows that are moved to a device at once when all of them are to stay there.
_ROWS_AT_ONCE = 1 << 18
#: Share of a device's free memory that the rows may take for good. The rest is for the
#: best epoch's weights and what a step computes.
RESIDENT_SHARE = 0.25


@dataclass(slots=True)
class DeviceBatch:
    """A batch whose entries, targets and weights are on a device.

    Attributes
    ----------
    bounds : ndarray of shape (B + 1,), int64
        Where each row's entries start, on the host: cutting a batch must not wait for
        the device.
    indptr : Tensor of shape (B + 1,), int64
        The same on the device.
    columns : Tensor of shape (nnz,), int64
    values : Tensor of shape (nnz,) or (0,)
        Empty when every value is one.
    target, weight : Tensor or None
    queries : Queries or None
    """

    bounds: np.ndarray
    indptr: Tensor
    columns: Tensor
    values: Tensor
    target: Tensor | None = None
    weight: Tensor | None = None
    queries: Queries | None = None

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def longest(self) -> int:
        """Entries of the longest row."""
        return int(np.diff(self.bounds).max(initial=0))

    def slice(self, start: int, stop: int) -> DeviceBatch:
        """Rows ``start`` to ``stop`` of this batch, as views; no query is cut."""
        lo, hi = int(self.bounds[start]), int(self.bounds[stop])
        return DeviceBatch(
            self.bounds[start : stop + 1] - lo,
            self.indptr[start : stop + 1] - lo,
            self.columns[lo:hi],
            self.values[lo:hi],
            None if self.target is None else self.target[start:stop],
            None if self.weight is None else self.weight[start:stop],
            None if self.queries is None else self.queries.slice(start, stop),
        )


def place(batch: Batch, device: torch.device) -> DeviceBatch:
    """A copy of a batch on a device."""
    return DeviceBatch(
        batch.indptr,
        move(batch.indptr, device),
        move(batch.columns, device).long(),
        move(batch.values, device),
        None if batch.target is None else move(batch.target.numpy(), device),
        None if batch.weight is None else move(batch.weight.numpy(), device),
        batch.queries,
    )


def move(array: np.ndarray, device: torch.device) -> Tensor:
    """A copy of an array on a device.

    To a GPU by way of pinned memory, which it reads while the host goes on; torch
    keeps that memory until it has been read.
    """
    pinned = device.type == "cuda"
    staged = torch.empty(array.shape, dtype=torch_dtype(array.dtype), pin_memory=pinned)
    staged.numpy()[...] = array
    return staged.to(device, non_blocking=pinned)


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    """What torch calls it."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def free_memory(device: torch.device) -> int | None:
    """Bytes that a device can still hand out; None where torch cannot tell."""
    module: Any = getattr(torch, device.type, None)
    if not hasattr(module, "mem_get_info"):
        return None
    free, _ = module.mem_get_info(device)
    cached = module.memory_reserved(device) - module.memory_allocated(device)
    return int(free + cached)


class ResidentRows:
    """All rows of a matrix on a device, moved there once.

    Parameters
    ----------
    rows : Rows
    prepare : callable
        What a network does to a batch before it reads it: see `Network.prepare`.
    device : torch.device
    """

    def __init__(
        self, rows: Rows, prepare: Callable[[Batch], Batch], device: torch.device
    ) -> None:
        # Of any integer type, and not from zero on if X is a slice of another matrix.
        self._bounds = rows.indptr
        self._device = device
        start, n_entries = int(rows.indptr[0]), int(rows.indptr[-1] - rows.indptr[0])
        self._indptr = move(rows.indptr.astype(np.int64) - start, device)
        self._columns = torch.empty(n_entries, dtype=torch.int32, device=device)
        self._values = torch.empty(0, device=device)
        self._target = None if rows.target is None else rows.target.to(device)
        self._weight = None if rows.weight is None else rows.weight.to(device)
        for low in range(0, len(rows), _ROWS_AT_ONCE):
            high = min(low + _ROWS_AT_ONCE, len(rows))
            batch = prepare(rows.span(low, high))
            self._fill(int(rows.indptr[low]) - start, batch)

    def _fill(self, at: int, batch: Batch) -> None:
        part = slice(at, at + len(batch.columns))
        self._columns[part] = move(batch.columns, self._device)
        if not len(batch.values):
            return
        values = move(batch.values, self._device)
        if not len(self._values):
            self._values = values.new_empty(len(self._columns))
        self._values[part] = values

    @staticmethod
    def fits(rows: Rows, device: torch.device) -> bool:
        """Whether a device has room for the rows; not where it cannot tell."""
        free = free_memory(device)
        if free is None:
            return False
        n_entries = int(rows.indptr[-1] - rows.indptr[0])
        needed = n_entries * (4 + rows.dtype.itemsize) + 24 * len(rows)
        return needed <= RESIDENT_SHARE * free

    def take(self, rows: np.ndarray) -> DeviceBatch:
        """Any rows, gathered on the device."""
        bounds = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(self._bounds[rows + 1] - self._bounds[rows], out=bounds[1:])
        picked = move(rows, self._device)
        starts = self._indptr[picked]
        lengths = self._indptr[picked + 1] - starts
        indptr = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        n_entries = int(bounds[-1])
        shift = torch.repeat_interleave(
            starts - indptr[:-1], lengths, output_size=n_entries
        )
        at = shift + torch.arange(n_entries, device=self._device)
        return DeviceBatch(
            bounds,
            indptr,
            self._columns[at].long(),
            self._values[at] if len(self._values) else self._values,
            None if self._target is None else self._target[picked],
            None if self._weight is None else self._weight[picked],
        )
