"""Batches, and naive float64 references, shared by the tests of tables."""

import math

import numpy as np
import scipy.sparse as sp
import torch

from skfm.data.rows import Rows
from skfm.sparse import EmbeddingTable

N_ROWS, N_COLUMNS, N_FACTORS = 17, 11, 3
LOOKUPS = ("pooled", "pooled_total", "by_field", "by_nonzero")
#: Four fields out of order; rows of `random_csr` hold several entries of one field.
FIELDS = np.array([2, 0, 1, 1, 0, 3, 0, 2, 2, 1, 3], np.int32)
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def random_csr(seed=0, unit=False, n_rows=N_ROWS, n_columns=N_COLUMNS):
    """Half of the cells stored; column 4, the first, middle and last row are empty."""
    rng = np.random.default_rng(seed)
    cells = np.where(rng.random((n_rows, n_columns)) < 0.5, 1.0, 0.0)
    if not unit:
        cells *= rng.normal(size=cells.shape)
    cells[[0, n_rows // 2, n_rows - 1]] = cells[:, [4]] = 0
    return sp.csr_array(cells)


def batch_of(X, dtype="float64"):
    return Rows(X, dtype).span(0, X.shape[0])


def random_table(
    lookup, n_linear=1, dtype="float64", backend=None, seed=1, n_factors=N_FACTORS
):
    table = EmbeddingTable(
        N_COLUMNS,
        n_linear,
        n_factors,
        lookup=lookup,
        fields=FIELDS if lookup == "by_field" else None,
        dtype=DTYPES[dtype],
        backend=backend,
    )
    weight = np.random.default_rng(seed).normal(size=table.weight.shape)
    table.weight[:] = torch.from_numpy(weight)
    return table


def naive_lookup(X, weight, n_linear, lookup):
    """The leaves of a look-up, entry by entry."""
    n_rows, n_factors = X.shape[0], weight.shape[1] - n_linear
    rows = [X.indices[X.indptr[b] : X.indptr[b + 1]] for b in range(n_rows)]
    n_slots = {
        "pooled": 0,
        "pooled_total": 0,
        "by_field": FIELDS.max() + 1,
        "by_nonzero": max((len(row) for row in rows), default=0),
    }[lookup]
    linear = np.zeros((n_rows, n_linear))
    total, squares = np.zeros((2, n_rows, n_factors))
    slots = np.zeros((n_rows, n_slots, n_factors))
    for b, row in enumerate(rows):
        for position, column in enumerate(row):
            entry = float(X.data[X.indptr[b] + position]) * weight[column]
            linear[b] += entry[:n_linear]
            total[b] += entry[n_linear:]
            squares[b] += entry[n_linear:] ** 2
            if n_slots:
                slot = FIELDS[column] if lookup == "by_field" else position
                slots[b, slot] += entry[n_linear:]
    if lookup == "pooled_total":
        squares = squares.sum(axis=1, keepdims=True)
    if lookup.startswith("pooled"):
        return [linear, total, squares]
    return [linear, slots]


def dense_lookup(X, weight, n_linear, lookup):
    """The leaves of a look-up as differentiable products with a dense X."""
    dense = torch.from_numpy(X.toarray())
    linear, factors = dense @ weight[:, :n_linear], weight[:, n_linear:]
    if lookup.startswith("pooled"):
        squares = dense.square() @ factors.square()
        if lookup == "pooled_total":
            squares = squares.sum(dim=1, keepdim=True)
        return [linear, dense @ factors, squares]
    if lookup == "by_field":
        fields = torch.from_numpy(FIELDS)
        slots = [(dense * (fields == f)) @ factors for f in range(FIELDS.max() + 1)]
        return [linear, torch.stack(slots, dim=1)]
    rows = [
        dense[b, columns, None] * factors[columns]
        for b, columns in enumerate(np.split(X.indices, X.indptr[1:-1]))
    ]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return [linear, padded]


def scalar_of(leaves, start=0):
    """A non-linear function of the leaves of rows ``start`` and following."""
    total = leaves[0].new_zeros(())
    for number, leaf in enumerate(leaves, 1):
        size = math.prod(leaf.shape[1:])
        row = start + torch.arange(1, len(leaf) + 1, dtype=leaf.dtype)
        column = torch.arange(1, size + 1, dtype=leaf.dtype)
        coefficient = torch.cos(number * row[:, None] + column)
        total = total + (coefficient * torch.sin(leaf.reshape(len(leaf), size))).sum()
    return total
