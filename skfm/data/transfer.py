"""Batches and matrices on devices other than the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.lazy import torch
from .batch import AnyBatch, Batch
from .labels import Labelled, Labels
from .queries import Queries
from .rows import Rows

if TYPE_CHECKING:
    from torch import Tensor

#: Number of entries moved at once when all rows of a matrix are kept on a device.
_ENTRIES_AT_ONCE = 1 << 24
#: Largest share of a device's free memory that these rows may take. The rest is for
#: the weights of the best epoch and the arrays of a step.
RESIDENT_SHARE = 0.25


@dataclass(slots=True)
class DeviceBatch(AnyBatch["Tensor"]):
    """A batch on a device, with columns of int64.

    Only ``indptr`` stays on the host, so that slicing a batch need not wait for the
    device.

    Attributes
    ----------
    lengths : Tensor of shape (B,), int64
        Number of entries of each row, on the device.
    """

    lengths: Tensor = field(kw_only=True)

    def slice(self, start: int, stop: int) -> DeviceBatch:
        # `super()` without arguments fails in dataclasses with slots.
        part = AnyBatch.slice(self, start, stop)
        part.lengths = self.lengths[start:stop]
        return part


def place(batch: Batch, device: torch.device) -> DeviceBatch:
    """Return a copy of a batch on a device."""
    return DeviceBatch(
        batch.indptr,
        move(batch.columns, device).long(),
        move(batch.values, device),
        lengths=move(np.diff(batch.indptr), device),
    )


def place_labels(labels: Labels, batch: Batch | DeviceBatch) -> Labels:
    """Return the labels of a batch where the batch is, copied there if they are not."""
    if isinstance(batch, Batch):
        return labels
    device = batch.lengths.device
    target, weight = (move(t.numpy(), device) for t in (labels.target, labels.weight))
    return Labels(target, weight, labels.queries)


def move(array: np.ndarray, device: torch.device) -> Tensor:
    """Return a copy of an array on a device.

    A GPU receives it through pinned memory, which it reads while the host continues.
    torch keeps that memory until it has been read.
    """
    pinned = device.type == "cuda"
    dtype = torch_dtype(array.dtype)
    # The device is named, as the caller may have set another default of torch.
    staged = torch.empty(array.shape, dtype=dtype, device="cpu", pin_memory=pinned)
    staged.numpy()[...] = array
    return staged.to(device, non_blocking=pinned)


def torch_dtype(dtype: np.dtype[Any] | str) -> torch.dtype:
    """Return the torch dtype of a NumPy dtype, or of its name."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that a device can still allocate; None if torch cannot tell."""
    module: Any = getattr(torch, device.type, None)
    if not hasattr(module, "mem_get_info"):
        return None
    try:
        free, _ = module.mem_get_info(device)
    except RuntimeError:  # some GPUs do not report it
        return None
    cached = module.memory_reserved(device) - module.memory_allocated(device)
    return int(free + cached)


class ResidentRows:
    """All rows of a matrix on a device, moved there once.

    Parameters
    ----------
    rows : Rows
        Rows to move.
    labels : Labels
        Labels of the rows.
    prepare : callable
        Function applied to each batch before it is moved: see `Network.prepare`.
    device : torch.device
        Device that the rows are moved to.
    """

    def __init__(
        self,
        rows: Rows,
        labels: Labels,
        prepare: Callable[[Batch], Batch],
        device: torch.device,
    ) -> None:
        # indptr has any integer type, and starts above 0 if X is a slice of a matrix.
        self._bounds, self._device = rows.indptr, device
        n_entries = int(rows.indptr[-1] - rows.indptr[0])
        starts = rows.indptr[:-1].astype(np.int64) - rows.indptr[0]
        # Without `move`, as torch never gives pinned memory back to the system.
        self._starts = torch.tensor(starts, device=device)
        self._columns = torch.empty(n_entries, dtype=torch.int32, device=device)
        self._values = torch.empty(0, device=device)
        self._labels = Labels(labels.target.to(device), labels.weight.to(device))
        low = at = 0
        while low < len(rows):
            end = int(rows.indptr[low]) + _ENTRIES_AT_ONCE
            last = int(np.searchsorted(rows.indptr, end, side="right")) - 1
            batch = prepare(rows.span(low, max(last, low + 1)))
            self._fill(at, batch)
            low, at = low + len(batch), at + len(batch.columns)

    def _fill(self, at: int, batch: Batch) -> None:
        part = slice(at, at + len(batch.columns))
        self._columns[part] = torch.tensor(batch.columns, device=self._device)
        if not len(batch.values):
            return
        values = torch.tensor(batch.values, device=self._device)
        if not len(self._values):
            self._values = values.new_empty(len(self._columns))
        self._values[part] = values

    @staticmethod
    def fits(
        rows: Rows, labels: Labels, device: torch.device, reserved: int = 0
    ) -> bool:
        """Return whether a device has room for the rows; False if unknown.

        ``reserved`` is the number of free bytes that are needed for something else.
        """
        free = free_memory(device)
        if free is None:
            return False
        n_entries = int(rows.indptr[-1] - rows.indptr[0])
        needed = n_entries * (4 + rows.dtype.itemsize) + 8 * len(rows)
        needed += labels.n_bytes()
        return needed <= RESIDENT_SHARE * (free - reserved)

    def take(self, rows: np.ndarray, queries: Queries | None = None) -> Labelled:
        """Return a batch of the given rows, gathered on the device.

        ``queries`` are those of the batch, where its rows are ranked.
        """
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(self._bounds[rows + 1] - self._bounds[rows], out=indptr[1:])
        n_entries = int(indptr[-1])
        picked, begins = (move(part, self._device) for part in (rows, indptr))
        lengths = begins.diff()
        shift = torch.repeat_interleave(
            self._starts[picked] - begins[:-1], lengths, output_size=n_entries
        )
        at = shift + torch.arange(n_entries, device=self._device)
        batch = DeviceBatch(
            indptr,
            self._columns[at].long(),
            self._values[at] if len(self._values) else self._values,
            lengths=lengths,
        )
        target, weight = self._labels.target[picked], self._labels.weight[picked]
        return Labelled(batch, Labels(target, weight, queries))
