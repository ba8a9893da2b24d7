"""One row per column of X: its linear weights and its factors, side by side."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.transfer import DeviceBatch, place
from ..runtime.threads import parallel_for
from . import kernels, torch_ops
from .lookup import Groups, Lookup
from .rows import ColumnRows

#: Entries below which a kernel is not worth a second thread.
_ENTRIES_PER_THREAD = 20_000
#: Entries that are worth sums of their own when pooling by column, and how many sums.
_ENTRIES_PER_PART = 50_000
_MAX_PARTS = 16

_NO_FIELDS = np.empty(0, np.int32)


class EmbeddingTable:
    """The table of a model and its three lookups.

    Parameters
    ----------
    n_columns : int
        Columns of X.
    n_linear : int
        C, linear weights per column (0 for a model without linear part).
    n_factors : int
        k, length of a column's embedding.
    lookup : {"pooled", "pooled_total", "by_field", "by_nonzero"}
        What `look_up` returns beside the linear part.
    fields : ndarray of shape (n_columns,), int32, or None
        Field of each column; needed by the by-field lookup.
    dtype : torch.dtype
        float32 or float64.
    device : torch.device
    use_kernels : bool, default=True
        False runs the torch operations on the CPU too.

    Attributes
    ----------
    weight : ColumnRows of shape (n_columns, C + k)
        Starts at zero.
    """

    def __init__(
        self,
        n_columns: int,
        n_linear: int,
        n_factors: int,
        *,
        lookup: str,
        fields: np.ndarray | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        use_kernels: bool = True,
    ) -> None:
        self.n_linear, self.n_factors, self.lookup = n_linear, n_factors, lookup
        self.n_columns, self.width = n_columns, n_linear + n_factors
        self.pooled = lookup in ("pooled", "pooled_total")
        # What comes before the linear part in sums over entries: see `kernels`.
        self.n_first = n_factors if self.pooled else 0
        self.n_squares = n_factors if lookup == "pooled" else 0
        device = torch.device(device)
        self.uses_kernels = device.type == "cpu" and use_kernels
        self.numpy_dtype = torch_to_numpy(dtype)
        self._squared_sums = self._squared(1)
        self.squared_upstream = self._squared(2)
        self._use(self.zeros(place=0, device=device))
        by_field = lookup == "by_field"
        self.n_fields = int(fields.max()) + 1 if by_field and fields is not None else 0
        self.kernel_fields = _NO_FIELDS
        self.slot_fields: Tensor | None = None
        if by_field:
            assert fields is not None
            self.kernel_fields = np.array(fields, np.int32)
            self.slot_fields = torch.from_numpy(self.kernel_fields).to(device)

    def _squared(self, n_last: int) -> np.ndarray:
        """1 for the columns of sums over entries that count by x^2: see `kernels`.

        ``n_last`` columns, at most, follow the linear part.
        """
        at = self.n_first + self.n_squares
        width = kernels.rounded(at + self.n_linear + n_last)
        squared = np.zeros((1, width), self.numpy_dtype)
        squared[:, self.n_first : at] = squared[:, at + self.n_linear :] = 1
        return squared

    def initialize(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the factors of ``columns`` (a mask) from N(0, scale^2)."""
        n = int(np.count_nonzero(columns))
        draws = rng.standard_normal((n, self.n_factors), dtype=self.numpy_dtype)
        draws *= scale
        mask = torch.from_numpy(columns).to(self.weight.device)
        self.weight.factors[mask] = torch.from_numpy(draws).to(self.weight.device)

    def zeros(self, *, place: int, device: torch.device | str) -> ColumnRows:
        """Rows like the table's: see `ColumnRows.zeros`."""
        return ColumnRows.zeros(
            (self.n_columns, self.width),
            self.n_linear,
            self.numpy_dtype,
            place=place,
            device=device,
        )

    def adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take writable arrays for the CPU's "factors", and "linear" weights."""
        parts = {"factors": self.weight.factors, "linear": self.weight.linear}
        parts |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        self._use(ColumnRows(**parts))

    def linear_part(self) -> EmbeddingTable:
        """What a step takes for the table where its factors are not to change."""
        part = copy.copy(self)
        part.n_factors = part.n_first = part.n_squares = 0
        part.width, part.kernel_fields = self.n_linear, _NO_FIELDS
        part.squared_upstream = part._squared(2)
        part._use(self.weight.linear_part())
        return part

    def _use(self, weight: ColumnRows) -> None:
        self.weight = weight
        # What the kernels read.
        self.host = weight.host() if self.uses_kernels else None

    def threads_for(self, batch: Batch | DeviceBatch, n_threads: int) -> int:
        """Threads that pay for a batch."""
        if not self.uses_kernels:
            return 1
        return max(1, min(n_threads, len(batch.columns) // _ENTRIES_PER_THREAD))

    def group(self, batch: Batch) -> Groups:
        """Group a batch's entries by column, for `RowGradient`."""
        ordered = len(batch.values) > 0 or self.lookup == "by_nonzero"
        order, rows, distinct, bounds = kernels.group(
            batch.indptr, batch.columns, self.n_columns, ordered
        )
        return Groups(order, rows, distinct, bounds)

    def place(self, batch: Batch | DeviceBatch) -> DeviceBatch:
        """A batch on the table's device, moved there if it is not."""
        if isinstance(batch, DeviceBatch):
            return batch
        return place(batch, self.weight.device)

    def n_slots(self, batch: Batch | DeviceBatch) -> int:
        """Slots of the by-field or by-non-zero lookup of a batch."""
        return self.n_fields if self.lookup == "by_field" else batch.longest()

    def look_up(
        self,
        batch: Batch | DeviceBatch,
        *,
        n_threads: int = 1,
        training: bool = False,
    ) -> Lookup:
        """Read a batch; with ``training`` the results collect gradients."""
        if self.uses_kernels:
            assert isinstance(batch, Batch)
            lookup = self._read_host(batch, self.threads_for(batch, n_threads))
        else:
            batch = self.place(batch)
            lookup = self.read_entries(self.entries(batch), batch)
        return lookup.collect_gradients() if training else lookup

    def pool_by_column(
        self, batch: Batch, groups: Groups, *, n_threads: int = 1
    ) -> Lookup:
        """The pooled lookup of a whole batch whose entries are grouped by column.

        Much faster than row by row, as the table is read in order. Threads add to sums
        of their own, as many as the batch has work for, so that the bits do not depend
        on the number of threads.
        """
        n_entries = len(batch.columns)
        n_parts = min(_MAX_PARTS, max(1, n_entries // _ENTRIES_PER_PART))
        share = np.arange(n_parts + 1) * n_entries // n_parts
        ends = np.searchsorted(groups.bounds, share)
        squared, by_factor = self._squared_sums, self.n_squares > 0
        n_rows, n_threads = len(batch), self.threads_for(batch, n_threads)
        sums = np.empty((n_parts, n_rows, squared.shape[1]), self.numpy_dtype)
        where = (self.host, groups.arrays(), batch.values, by_factor, squared)

        def work(first: int, last: int) -> None:
            for part in range(first, last):
                sums[part] = 0
                kernels.pool_by_column(*where, sums[part], ends[part], ends[part + 1])

        parallel_for(work, n_parts, n_threads)
        flat = sums.reshape(-1, squared.shape[1])
        parallel_for(kernels.add_parts, n_rows, n_threads, flat, n_rows)
        return self._pooled(
            torch.from_numpy(sums[0]), torch.from_numpy(np.diff(batch.indptr))
        )

    def _read_host(self, batch: Batch, n_threads: int) -> Lookup:
        n_rows, dtype = len(batch), self.numpy_dtype
        where = (self.host, batch.indptr, batch.columns, batch.values)
        lengths = torch.from_numpy(batch.indptr[1:] - batch.indptr[:-1])
        if self.pooled:
            out = np.empty((n_rows, self.width + max(1, self.n_squares)), dtype)
            by_factor = self.n_squares > 0
            parallel_for(kernels.pool, n_rows, n_threads, *where, by_factor, out)
            return self._pooled(torch.from_numpy(out), lengths)
        linear = np.empty((n_rows, self.n_linear), dtype)
        slots = np.zeros((n_rows, self.n_slots(batch), self.n_factors), dtype)
        parallel_for(
            kernels.scatter,
            n_rows,
            n_threads,
            *where,
            *(self.kernel_fields, linear, slots.reshape(-1, self.n_factors)),
        )
        columns = None
        if self.lookup == "by_nonzero":
            columns = torch.from_numpy(batch.columns.astype(np.int64))
        parts = torch.from_numpy(linear), None, None, torch.from_numpy(slots)
        return Lookup(*parts, lengths, columns)

    def entries(self, batch: Batch | DeviceBatch) -> Tensor:
        """[x w | x v] of each entry of a batch, row by row: (nnz, C + k)."""
        batch = self.place(batch)
        return torch_ops.scale(self.weight[batch.columns], batch.values)

    def read_entries(self, entries: Tensor, batch: Batch | DeviceBatch) -> Lookup:
        """What `look_up` returns of ``entries`` in the place of the batch's own.

        In torch operations, through which gradients flow back to ``entries``.
        """
        batch = self.place(batch)
        lengths = batch.lengths
        if self.pooled:
            linear, total, squares = torch_ops.pool(entries, self.n_linear, lengths)
            if not self.n_squares:
                squares = squares.sum(dim=1, keepdim=True)
            return Lookup(linear, total, squares, None, lengths)
        linear, slots = torch_ops.scatter(
            *(entries, self.n_linear, batch),
            *(self.slot_fields, self.n_slots(batch)),
        )
        told = batch.columns if self.lookup == "by_nonzero" else None
        return Lookup(linear, None, None, slots, lengths, told)

    def _pooled(self, out: Tensor, lengths: Tensor) -> Lookup:
        k, at = self.n_factors, self.n_first + self.n_squares
        end = at + self.n_linear
        squares = out[:, k:at] if self.n_squares else out[:, end : end + 1]
        return Lookup(out[:, at:end], out[:, :k], squares, None, lengths)


def torch_to_numpy(dtype: torch.dtype) -> np.dtype[Any]:
    """float32 or float64 as NumPy's."""
    return np.dtype(np.float64 if dtype == torch.float64 else np.float32)
