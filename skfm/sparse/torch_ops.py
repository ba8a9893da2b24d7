"""The engine's lookups and reduction in torch, for devices other than the CPU.

Same arguments and results as the kernels, without their loops. Sums run in a fixed
order (`torch.segment_reduce` over sorted segments), so results repeat on one device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .rows import ColumnRows


def segment_sum(rows: Tensor, lengths: Tensor) -> Tensor:
    """Sum consecutive runs of ``rows`` (nnz, d) into (len(lengths), d)."""
    if rows.shape[1] == 0 or rows.shape[0] == 0:
        return rows.new_zeros(len(lengths), rows.shape[1])
    return torch.segment_reduce(rows, "sum", lengths=lengths, axis=0)


def slot_of_entries(indptr: Tensor, columns: Tensor, fields: Tensor | None) -> Tensor:
    """Each entry's slot: its column's field, or its position in the row."""
    if fields is not None:
        return fields[columns].long()
    lengths = indptr.diff()
    starts = torch.repeat_interleave(indptr[:-1], lengths)
    return torch.arange(len(columns), device=columns.device) - starts


def pool(
    entries: Tensor, n_linear: int, indptr: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum x w, sum x v and sum (x v)^2 per row.

    ``entries`` (nnz, D) are the columns' rows of the table times the values.
    """
    squares = entries[:, n_linear:].square()
    sums = segment_sum(torch.cat([entries, squares], dim=1), indptr.diff())
    k = squares.shape[1]
    linear, total, second = sums.split([n_linear, k, k], 1)
    return linear, total, second


def scatter(
    entries: Tensor,
    n_linear: int,
    indptr: Tensor,
    columns: Tensor,
    fields: Tensor | None,
    n_slots: int,
) -> tuple[Tensor, Tensor]:
    """Linear sums (B, C) and sums by slot (B, n_slots, k); ``entries`` as in `pool`."""
    n_rows = len(indptr) - 1
    lengths = indptr.diff()
    linear = segment_sum(entries[:, :n_linear], lengths)
    row = torch.repeat_interleave(torch.arange(n_rows, device=lengths.device), lengths)
    slot = row * n_slots + slot_of_entries(indptr, columns, fields)
    order = torch.argsort(slot, stable=True)
    counts = torch.bincount(slot, minlength=n_rows * n_slots)
    sums = segment_sum(entries[order, n_linear:], counts)
    return linear, sums.view(n_rows, n_slots, entries.shape[1] - n_linear)


def reduce(
    weight: ColumnRows,
    indptr: Tensor,
    columns: Tensor,
    values: Tensor,
    upstream: Tensor,
    n_first: int,
    n_squares: int,
    slots: Tensor | None,
    fields: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Distinct columns (U,) and their gradients (U, D): see `kernels.reduce`."""
    n_linear, k = weight.linear.shape[1], weight.factors.shape[1]
    lengths = indptr.diff()
    row = torch.repeat_interleave(
        torch.arange(len(lengths), device=lengths.device), lengths
    )
    sizes = [n_first, n_squares, n_linear, 1]
    sizes.append(upstream.shape[1] - sum(sizes))
    first, by_factor, linear, a, rest = upstream[row].split(sizes, dim=1)
    once, squared = values[:, None], values.square()[:, None]
    own = first * once if n_first else first.new_zeros(len(columns), k)
    if slots is not None:
        slot = slot_of_entries(indptr, columns, fields)
        own = own + slots[row, slot] * once
    in_proportion = (by_factor if n_squares else rest[:, :1]) * squared
    order = torch.argsort(columns, stable=True)
    distinct, counts = torch.unique_consecutive(columns[order], return_counts=True)
    parts = [linear * once, own, a * squared, in_proportion]
    sums = segment_sum(torch.cat(parts, dim=1)[order], counts)
    of_linear, of_factors, a, second = sums.split(
        [n_linear, k, 1, in_proportion.shape[1]], 1
    )
    of_linear = of_linear + weight.linear[distinct] * a
    of_factors = of_factors + weight.factors[distinct] * second
    return distinct, torch.cat([of_linear, of_factors], dim=1)


def absolute_shares(
    indptr: Tensor, columns: Tensor, values: Tensor, share: Tensor
) -> Tensor:
    """Sum of ``share * abs(x)`` by distinct column: see `RowGradient`."""
    lengths = indptr.diff()
    entries = torch.repeat_interleave(share, lengths) * values.abs()
    order = torch.argsort(columns, stable=True)
    _, counts = torch.unique_consecutive(columns[order], return_counts=True)
    return segment_sum(entries[order, None], counts)[:, 0]
