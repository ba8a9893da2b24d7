"""What a network reads of all rows of a part."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from ..data.rows import Rows
from ..nn.network import Network


def look_up(network: Network, rows: Rows) -> Any:
    """Look up all rows."""
    with torch.no_grad():
        batch = network.table.place(network.prepare(rows.span(0, len(rows))))
        return network.table.look_up(batch)


def summed_embeddings(network: Network, rows: Rows) -> np.ndarray:
    """Sum the embeddings of the entries of each row, times their values."""
    batch = rows.span(0, len(rows))
    values = (
        batch.values if len(batch.values) else np.ones(len(batch.columns), rows.dtype)
    )
    shape = (len(rows), rows.n_columns)
    factors = network.factors.flatten(1).cpu().numpy()
    summed: np.ndarray = (
        sp.csr_array((values, batch.columns, batch.indptr), shape) @ factors
    )
    return summed
