"""Look-ups and reduction of gradients in torch, for devices other than the CPU.

Arguments and results are those of the kernels. Sums are taken in a fixed order, by
`torch.segment_reduce` over sorted segments, so that results repeat on one device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.transfer import DeviceBatch
from ..runtime.lazy import torch
from .rows import ColumnRows

if TYPE_CHECKING:
    from torch import Tensor

#: Number of entries of a column that are added one after another.
_PIECE = 256


def segment_sum(rows: Tensor, lengths: Tensor) -> Tensor:
    """Sum consecutive runs of ``rows`` (nnz, d) into (len(lengths), d)."""
    if rows.shape[1] == 0 or rows.shape[0] == 0:
        return rows.new_zeros(len(lengths), rows.shape[1])
    # A check of the lengths would wait for the device: ``unsafe`` leaves it out.
    return torch.segment_reduce(rows, "sum", lengths=lengths, axis=0, unsafe=True)


def sum_by_column(columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct columns (U,), sorted, and the sums of their ``rows``, (U, d).

    Pieces of a column are summed first, then the sums of its pieces. A GPU adds up each
    segment in one thread, and a column that half of the rows have would keep that
    thread busy long after all others.
    """
    columns, order = torch.sort(columns, stable=True)
    n_pieces = 1 + len(columns) // _PIECE
    number = torch.arange(len(columns), device=columns.device) // _PIECE
    keys, counts = torch.unique_consecutive(
        columns * n_pieces + number, return_counts=True
    )
    pieces = segment_sum(rows[order], counts)
    distinct, counts = torch.unique_consecutive(keys // n_pieces, return_counts=True)
    return distinct, segment_sum(pieces, counts)


def scale(rows: Tensor, values: Tensor) -> Tensor:
    """Multiply rows (nnz, d) by ``values`` (nnz,); empty values stand for ones."""
    return rows * values[:, None] if len(values) else rows


def row_of_entries(batch: DeviceBatch) -> Tensor:
    """Return the row of each entry, (nnz,)."""
    rows = torch.arange(len(batch), device=batch.lengths.device)
    return _by_entry(rows, batch)


def _by_entry(per_row: Tensor, batch: DeviceBatch) -> Tensor:
    # With the size of the result given, torch does not wait for the device.
    n_entries = len(batch.columns)
    return torch.repeat_interleave(per_row, batch.lengths, output_size=n_entries)


def slot_of_entries(batch: DeviceBatch, fields: Tensor | None) -> Tensor:
    """Return the slot of each entry: its field, or its position in the row."""
    columns = batch.columns
    if fields is not None:
        return fields[columns].long()
    starts = _by_entry(batch.lengths.cumsum(0) - batch.lengths, batch)
    return torch.arange(len(columns), device=columns.device) - starts


def pool(
    entries: Tensor, n_linear: int, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum x w, x v and (x v)^2 over the entries of each row.

    ``entries`` (nnz, C + k) holds [x w | x v] of each entry.
    """
    squares = entries[:, n_linear:].square()
    sums = segment_sum(torch.cat([entries, squares], dim=1), lengths)
    k = squares.shape[1]
    linear, total, second = sums.split([n_linear, k, k], 1)
    return linear, total, second


def scatter(
    entries: Tensor,
    n_linear: int,
    batch: DeviceBatch,
    fields: Tensor | None,
    n_slots: int,
) -> tuple[Tensor, Tensor]:
    """Sum x w by row, (B, C), and x v by slot, (B, n_slots, k), as in `pool`."""
    linear = segment_sum(entries[:, :n_linear], batch.lengths)
    slot = row_of_entries(batch) * n_slots + slot_of_entries(batch, fields)
    order = torch.argsort(slot, stable=True)
    # `bincount` would wait for the device.
    counts = slot.new_zeros(len(batch) * n_slots)
    counts.index_add_(0, slot, torch.ones_like(slot))
    sums = segment_sum(entries[order, n_linear:], counts)
    return linear, sums.view(len(batch), n_slots, entries.shape[1] - n_linear)


def reduce(
    weight: ColumnRows,
    batch: DeviceBatch,
    upstream: Tensor,
    n_first: int,
    n_squares: int,
    slots: Tensor | None,
    fields: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the distinct columns (U,) and their gradients (U, C + k)."""
    n_linear, k = weight.linear.shape[1], weight.factors.shape[1]
    values, squared = batch.values, batch.values.square()
    row = row_of_entries(batch)
    sizes = [n_first, n_squares, n_linear, 1]
    sizes.append(upstream.shape[1] - sum(sizes))
    first, by_factor, linear, a, rest = upstream[row].split(sizes, dim=1)
    own = scale(first, values) if n_first else first.new_zeros(len(row), k)
    if slots is not None:
        own = own + scale(slots[row, slot_of_entries(batch, fields)], values)
    in_proportion = scale(by_factor if n_squares else rest[:, :1], squared)
    parts = [scale(linear, values), own, scale(a, squared), in_proportion]
    distinct, sums = sum_by_column(batch.columns, torch.cat(parts, dim=1))
    of_linear, of_factors, a, second = sums.split(
        [n_linear, k, 1, in_proportion.shape[1]], 1
    )
    of_linear = of_linear + weight.linear[distinct] * a
    of_factors = of_factors + weight.factors[distinct] * second
    return distinct, torch.cat([of_linear, of_factors], dim=1)


def absolute_shares(batch: DeviceBatch, share: Tensor) -> Tensor:
    """Sum ``share * abs(x)`` over the entries of each distinct column, (U,)."""
    entries = scale(_by_entry(share, batch)[:, None], batch.values.abs())
    return sum_by_column(batch.columns, entries)[1][:, 0]
