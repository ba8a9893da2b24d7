"""What was learnt of a table's columns, apart from any estimator.

An estimator that takes tables itself holds a `TableCodec` and needs nothing else:
``TableCodec.create`` and ``learn``, then ``encode`` and ``matrix``, of the columns that
`read_columns` returns.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from skfm.encoding.blocks import Block, Encoded, QuantileBlock, ScaleBlock
from skfm.encoding.categories import CategoryBlock
from skfm.encoding.layout import assemble, make_blocks
from skfm.encoding.multi_valued import MultiValuedBlock
from skfm.encoding.tables import object_array
from skfm.runtime.warnings import warn

__all__ = ["TableCodec"]

Columns = Sequence[pd.Series]


@dataclass(frozen=True)
class TableCodec:
    """One block for each column of a table.

    Attributes
    ----------
    blocks : list of Block
        In the order of the table's columns.
    n_rows : int
        Rows learnt from.
    """

    blocks: list[Block]
    n_rows: int = 0

    @classmethod
    def create(
        cls, columns: Columns, names: list[str], *, named: bool, params: dict[str, Any]
    ) -> TableCodec:
        """Return a codec that has learnt nothing; see `make_blocks`."""
        return cls(make_blocks(list(columns), names, named=named, params=params))

    def learn(
        self, columns: Columns, *, stream: bool = False, encode: bool = True
    ) -> tuple[TableCodec, list[Encoded]]:
        """Return a codec that knows these rows too, and the rows as it encodes them.

        This one is left as it is, so that refused rows leave no trace. Without
        ``stream`` the samples that quantiles need are dropped. Without ``encode`` the
        second list is empty.
        """
        blocks = copy.deepcopy(self.blocks)
        n_rows = self.n_rows + len(columns[0])
        encoded = []
        # One column after the other: its distinct values are let go before the next.
        for block, series in zip(blocks, columns, strict=True):
            cells = block.read(series)
            block.update(cells)
            block.finish(n_rows)
            if isinstance(block, QuantileBlock) and not stream:
                block.freeze()
            if encode:
                encoded.append(block.encode(cells))
        return TableCodec(blocks, n_rows), encoded

    def encode(self, columns: Columns) -> list[Encoded]:
        """Return the rows of columns, encoded."""
        pairs = zip(self.blocks, columns, strict=True)
        return [block.encode(block.read(series)) for block, series in pairs]

    def matrix(
        self,
        encoded: Sequence[Encoded],
        dtype: DTypeLike,
        *,
        warn: bool = False,
        share_ones: bool = False,
    ) -> sp.csr_matrix:
        """Return the matrix of what `encode` or `learn` returned.

        ``warn`` asks for a warning that counts unknown and missing cells by column.
        With ``share_ones`` the values, if all of them are 1, take no memory and can't
        be written to.
        """
        if warn:
            self._warn(encoded)
        return assemble(encoded, self.widths, np.dtype(dtype), share_ones=share_ones)

    def _warn(self, encoded: Sequence[Encoded]) -> None:
        counts = []
        for block, part in zip(self.blocks, encoded, strict=True):
            tally = np.bincount(part.columns, minlength=block.width)
            unknown = tally[-2] if block.has_unknown else 0
            if unknown or tally[-1]:
                counts.append(f"{block.name}: {unknown} unknown, {tally[-1]} missing")
        if counts:
            warn("Cells by column: " + "; ".join(counts))

    def decode(self, X: sp.csr_matrix) -> NDArray[Any]:
        """Return the table of an encoded matrix, one object per cell."""
        n_rows, starts = X.shape[0], np.cumsum([0, *self.widths])
        rows = np.repeat(np.arange(n_rows), np.diff(X.indptr))
        fields = self.fields[X.indices]
        table = np.full((n_rows, len(self.blocks)), None, dtype=object)
        for j, block in enumerate(self.blocks):
            at = np.flatnonzero((fields == j) & (X.data != 0))
            cells = block.decode(X.indices[at] - starts[j], X.data[at])
            if isinstance(block, MultiValuedBlock):
                table[:, j] = _bags(rows[at], cells, n_rows)
                continue
            if isinstance(block, ScaleBlock):
                # Where an estimator dropped a zero, the number was the mean.
                table[:, j] = block.mean
            table[rows[at], j] = cells
        return table

    @property
    def widths(self) -> list[int]:
        """Number of matrix columns of each block."""
        return [block.width for block in self.blocks]

    @property
    def fields(self) -> NDArray[np.int32]:
        """The block of each matrix column."""
        return np.repeat(np.arange(len(self.blocks), dtype=np.int32), self.widths)

    @property
    def field_names(self) -> NDArray[Any]:
        """Name of each block."""
        return np.array([block.name for block in self.blocks], dtype=object)

    def categories(self, *, infrequent: bool) -> list[NDArray[Any] | None]:
        """Return the categories of each block; None where it has none."""
        inner = [b.inner if isinstance(b, MultiValuedBlock) else b for b in self.blocks]
        return [
            _share(b.vocabulary, b.infrequent == infrequent)
            if isinstance(b, CategoryBlock)
            else None
            for b in inner
        ]

    def column_names(self, names: Iterable[Any]) -> NDArray[Any]:
        """Return the name of each matrix column, given those of the blocks."""
        return np.array(
            [
                f"{name}_{label}" if label else str(name)
                for name, block in zip(names, self.blocks, strict=True)
                for label in block.labels()
            ],
            dtype=object,
        )


def _share(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values[mask], without a copy where the mask takes all."""
    if not mask.all():
        return values[mask]
    shared = values[:]
    shared.flags.writeable = False
    return shared


def _bags(rows: NDArray[Any], items: NDArray[Any], n_rows: int) -> NDArray[Any]:
    """Cut items, ordered by row, into one array per row; None stands for no item."""
    known = np.array([item is not None for item in items], dtype=bool)
    sizes = np.bincount(rows[known], minlength=n_rows)
    return object_array(np.split(items[known], np.cumsum(sizes)[:-1]))
