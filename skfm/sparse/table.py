"""One row per column of X: its linear weights and its factors, side by side."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..batches import Batch
from ..devices import DeviceBatch, place
from ..threads import parallel_for
from . import kernels, torch_ops
from .gradients import RowGradient
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

    def gradient(
        self,
        batch: Batch | DeviceBatch,
        lookups: Sequence[Lookup],
        penalty: Tensor,
        *,
        groups: Groups | None = None,
        n_threads: int = 1,
    ) -> RowGradient:
        """Gradient of loss and penalty, after the loss's backward pass.

        Parameters
        ----------
        batch : Batch or DeviceBatch
        lookups : sequence of Lookup
            Of consecutive parts of the batch, with gradients.
        penalty : Tensor of shape (B, 2)
            Each row's L2 strength on x w and on x v.
        groups : Groups or None
            The batch's, if already at hand.
        """
        upstream = torch.cat([self._upstream(lookup) for lookup in lookups])
        at = self.n_first + self.n_squares
        upstream[:, at + self.n_linear] += penalty[:, 0]
        upstream[:, self._second_order()] += penalty[:, 1:]
        slots = self._slot_gradient(lookups)
        n_threads = self.threads_for(batch, n_threads)
        return RowGradient(self, batch, upstream, slots, n_threads, groups)

    def _upstream(self, lookup: Lookup) -> Tensor:
        """[dL/d(sum x v) | 2 dL/d(sum (x v)^2) | dL/d(sum x w) | 0]: see `kernels`.

        Or with the second last, where it is the same for all factors.
        """
        n_first, at = self.n_first, self.n_first + self.n_squares
        width = self.squared_upstream.shape[1]
        upstream = lookup.linear.new_zeros(len(lookup.lengths), width)
        if lookup.linear.grad is not None:
            upstream[:, at : at + self.n_linear] = lookup.linear.grad
        if lookup.sum is not None and lookup.sum.grad is not None:
            upstream[:, :n_first] = lookup.sum.grad
        if lookup.sum_squares is not None and lookup.sum_squares.grad is not None:
            upstream[:, self._second_order()] = 2 * lookup.sum_squares.grad
        return upstream

    def _second_order(self) -> slice:
        """Columns of `_upstream` that count the factors themselves."""
        if self.n_squares:
            return slice(self.n_first, self.n_first + self.n_squares)
        last = self.n_first + self.n_linear + 1
        return slice(last, last + 1)

    def _slot_gradient(self, lookups: Sequence[Lookup]) -> Tensor | None:
        """dL/dslots of the whole batch, parts padded to the widest."""
        parts = [lookup.slots for lookup in lookups if lookup.slots is not None]
        if not parts or not self.n_factors:
            return None
        width = max(part.shape[1] for part in parts)
        grads = [_gradient_of(part) for part in parts]
        if all(grad.shape[1] == width for grad in grads):
            return grads[0] if len(grads) == 1 else torch.cat(grads)
        pad = torch.nn.functional.pad
        return torch.cat([pad(g, (0, 0, 0, width - g.shape[1])) for g in grads])


def _gradient_of(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def torch_to_numpy(dtype: torch.dtype) -> np.dtype[Any]:
    """float32 or float64 as NumPy's."""
    return np.dtype(np.float64 if dtype == torch.float64 else np.float32)
