"""Parts of the table that training steps leave unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ..data.transfer import move
from ..nn.network import Network
from ..sparse import ColumnRows, ReducedGradient, RowGradient


class FixedColumns:
    """The columns whose linear weights, or whose factors, stay as they are.

    Parameters
    ----------
    network : Network
    part : slice
        Columns of the model that the rows of the network's table belong to.
    """

    def __init__(self, network: Network, part: slice) -> None:
        fixed = [network.without_factors, network.fixed_factors]
        known = [mask for mask in fixed if mask is not None]
        factors = np.logical_or.reduce(known) if known else None
        masks = {"linear": network.without_linear, "factors": factors}
        device = network.table.weight.device
        self._masks = {
            name: move(mask[part], device)
            for name, mask in masks.items()
            if mask is not None
        }

    @contextmanager
    def kept(
        self, gradient: RowGradient | ReducedGradient, rows: Sequence[ColumnRows]
    ) -> Iterator[None]:
        """Restore the weights of these columns at the end of the block.

        Parameters
        ----------
        gradient : RowGradient or ReducedGradient
            Gradient of the step. Other columns do not change.
        rows : sequence of ColumnRows
            Rows of the table, and others in the same layout.
        """
        if not self._masks:
            yield
            return
        touched, before = gradient.columns(), []
        for name, mask in self._masks.items():
            columns = touched[mask[touched]]
            parts = [getattr(part, name) for part in rows]
            before += [(part, columns, part[columns]) for part in parts]
        yield
        for part, columns, values in before:
            part[columns] = values
