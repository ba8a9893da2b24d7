"""The engine's lookups and reduction in torch, for devices other than the CPU.

Same arguments and results as the kernels, without their loops. Sums run in a fixed
order (`torch.segment_reduce` over sorted segments), so results repeat on one device.
"""

from __future__ import annotations

import torch
from torch import Tensor


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


def pool(entries: Tensor, n_linear: int, indptr: Tensor) -> Tensor:
    """[sum x w | sum x v | sum (x v)^2] per row, of width D + k.

    ``entries`` (nnz, D) are the columns' rows of the table times the values.
    """
    squares = entries[:, n_linear:].square()
    return segment_sum(torch.cat([entries, squares], dim=1), indptr.diff())


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
    weight: Tensor,
    n_linear: int,
    indptr: Tensor,
    columns: Tensor,
    values: Tensor,
    upstream: Tensor,
    n_first: int,
    slots: Tensor | None,
    fields: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Distinct columns (U,) and their gradients (U, D): see `kernels.reduce`."""
    width = weight.shape[1]
    lengths = indptr.diff()
    row = torch.repeat_interleave(
        torch.arange(len(lengths), device=lengths.device), lengths
    )
    first = weight.new_zeros(len(columns), width)
    first[:, :n_first] = upstream[row, :n_first] * values[:, None]
    if slots is not None:
        slot = slot_of_entries(indptr, columns, fields)
        first[:, n_linear:] += slots[row, slot] * values[:, None]
    second = upstream[row, n_first:] * values.square()[:, None]
    order = torch.argsort(columns, stable=True)
    distinct, counts = torch.unique_consecutive(columns[order], return_counts=True)
    sums = segment_sum(torch.cat([first, second], dim=1)[order], counts)
    gradient, linear_part, factor_part = sums.split(
        [width, 1, sums.shape[1] - width - 1], 1
    )
    gradient[:, :n_linear] += weight[distinct, :n_linear] * linear_part
    gradient[:, n_linear:] += weight[distinct, n_linear:] * factor_part
    return distinct, gradient


def absolute_shares(
    indptr: Tensor, columns: Tensor, values: Tensor, share: Tensor
) -> Tensor:
    """Sum of ``share * abs(x)`` by distinct column: see `RowGradient`."""
    lengths = indptr.diff()
    entries = torch.repeat_interleave(share, lengths) * values.abs()
    order = torch.argsort(columns, stable=True)
    _, counts = torch.unique_consecutive(columns[order], return_counts=True)
    return segment_sum(entries[order, None], counts)[:, 0]
