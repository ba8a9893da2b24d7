"""Learned encoding of a table's columns, independent of any estimator.

An estimator that takes tables itself holds a `TableCodec` and needs nothing else:
``TableCodec.create`` and ``learn``, then ``encode`` and ``matrix``, of the columns that
`read_columns` returns.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import DTypeLike

from ..persistence.records import is_integer, is_registered, require, saved
from ..runtime.warnings import warn
from .blocks import Block, Encoded, SampledBlock
from .codec_columns import CodecColumns
from .crosses.crosses import Crosses
from .crosses.fields import crossable_fields, field_codes
from .crosses.learning import CrossOptions, learn_crosses
from .crosses.target import Target
from .dates import DateBlock
from .decoding import decode
from .flags import exclude_each_other, join_flags
from .layout import assemble, make_blocks
from .shared import SharedCategories, learn_together

__all__ = ["TableCodec"]

Columns = Sequence[pd.Series]


@saved("record")
@dataclass(frozen=True)
class TableCodec(CodecColumns):
    """One block for each column of a table.

    Attributes
    ----------
    blocks : list of Block
        Blocks in the order of the columns of the table.
    n_rows : int
        Number of rows learned from.
    joined : dict
        Number of the first block and name of the variable, for each block that holds
        one of its dummies.
    crosses : Crosses
        Crosses of the blocks' fields. The columns of each cross follow those of all
        blocks. It is a field and a variable of its own.
    shared : SharedCategories
        Groups of blocks with the same categories and the same columns of the matrix. A
        group is a field and a variable.
    """

    blocks: list[Block]
    n_rows: int = 0
    joined: dict[int, tuple[int, str]] = field(default_factory=dict)
    crosses: Crosses = field(default_factory=Crosses)
    shared: SharedCategories = field(default_factory=SharedCategories)

    def check(self) -> None:
        """Raise a ValueError unless there is a block for each column."""
        known = isinstance(self.blocks, list) and all(
            is_registered("record", type(block)) and hasattr(block, "encode")
            for block in self.blocks
        )
        require(known, "a block is none")
        require(is_integer(self.n_rows, 0), f"n_rows is {self.n_rows!r}")
        for number, (first, name) in self.joined.items():
            both = (self.blocks[number], self.blocks[first])
            joined = all(_is_flag(block) for block in both) and isinstance(name, str)
            require(joined and first >= 0, "the dummies of a variable are none")
        require(isinstance(self.shared, SharedCategories), "shared columns are none")
        self.shared.check_fits(self.blocks)
        self.shared.link(self.blocks)
        require(isinstance(self.crosses, Crosses), "its crosses are none")
        self.crosses.check_fits(self.blocks)

    def check_fits(self, n_columns: Any) -> None:
        """Raise a ValueError unless this is the codec of a table of ``n_columns``."""
        require(
            is_integer(n_columns, 1) and n_columns == len(self.blocks),
            f"the codec of {len(self.blocks)} columns is not that of {n_columns!r}",
        )

    @classmethod
    def create(
        cls, columns: Columns, names: list[str], *, named: bool, params: dict[str, Any]
    ) -> TableCodec:
        """Return an unfitted codec; see `make_blocks`."""
        shared = SharedCategories.read(params["shared_categories"], names, named)
        blocks = make_blocks(
            list(columns), names, named=named, params=params, shared=shared
        )
        return cls(blocks, shared=shared)

    def learn(
        self, columns: Columns, *, stream: bool = False, encode: bool = True
    ) -> tuple[TableCodec, list[Encoded]]:
        """Return a codec that has also learnt these rows, and the encoded rows.

        This codec does not change, so that refused rows have no effect. Without
        ``stream``, the samples for quantiles are dropped. Without ``encode``, the
        second list is empty.
        """
        blocks = copy.deepcopy(self.blocks)
        n_rows = self.n_rows + len(columns[0])
        encoded: list[Any] = [None] * len(blocks)
        # One column after the other: its distinct values are freed before the next.
        for part in self.shared.parts(len(blocks)):
            cells = [blocks[j].read(columns[j]) for j in part]
            learn_together([blocks[j] for j in part], cells, n_rows)
            for j, own in zip(part, cells, strict=True):
                block = blocks[j]
                if isinstance(block, SampledBlock | DateBlock) and not stream:
                    block.freeze()
                if encode or _is_flag(block):
                    encoded[j] = block.encode(own)
        joined = self._join(blocks, encoded)
        learnt = replace(self, blocks=blocks, n_rows=n_rows, joined=joined)
        return learnt, encoded if encode else []

    def _join(
        self, blocks: list[Block], encoded: list[Any]
    ) -> dict[int, tuple[int, str]]:
        """Find the dummies of one variable; later rows can only separate them."""
        first = not self.n_rows
        flags = [j for j, b in enumerate(blocks) if _is_flag(b)]
        candidates = [j for j in flags if first or j in self.joined]
        names = [str(block.name) for block in blocks]
        return join_flags(
            names, candidates, lambda run: exclude_each_other(encoded, run)
        )

    def encode(self, columns: Columns) -> list[Encoded]:
        """Return the rows of columns, encoded."""
        pairs = zip(self.blocks, columns, strict=True)
        return [block.encode(block.read(series)) for block, series in pairs]

    def with_crosses(
        self,
        encoded: Sequence[Encoded],
        target: Target,
        options: CrossOptions,
        random_state: np.random.RandomState,
        *,
        named: bool,
    ) -> tuple[TableCodec, list[np.ndarray]]:
        """Return a codec with crosses, and their levels in these rows.

        The levels must be passed to `matrix` for the rows from which the crosses were
        learnt, because those of statistics are out of fold; see `learn_crosses`.
        """
        codes = field_codes(crossable_fields(self.blocks), encoded)
        crosses, levels = learn_crosses(
            self.blocks, codes, target, options, random_state, named=named
        )
        return replace(self, crosses=crosses), levels

    def matrix(
        self,
        encoded: Sequence[Encoded],
        dtype: DTypeLike,
        *,
        warn: bool = False,
        share_ones: bool = False,
        crossed: Sequence[np.ndarray] | None = None,
    ) -> sp.csr_matrix:
        """Return the matrix of rows that `encode` or `learn` has encoded.

        ``warn`` asks for a warning that counts unknown and missing cells by column.
        With ``share_ones`` the values, if all of them are 1, take no memory and can't
        be written to. ``crossed`` gives the levels of the rows in the crosses, where
        they are those that these were learnt from.
        """
        if warn:
            self._warn(encoded)
        if crossed is None:
            crossed = self.crosses.encode(self.blocks, encoded)
        widths = self.widths
        encoded = [*self.shared.join(encoded, widths), *map(Encoded, crossed)]
        return assemble(encoded, widths, np.dtype(dtype), share_ones=share_ones)

    def matrix_of(
        self, encoded: Mapping[int, Encoded], n_rows: int, dtype: DTypeLike
    ) -> sp.csr_matrix:
        """Return the matrix of the entries of some blocks, given by their numbers."""
        nothing = Encoded(np.zeros(0, np.int64), lengths=np.zeros(n_rows, np.int64))
        parts = [encoded.get(number, nothing) for number in range(len(self.blocks))]
        return self.matrix(parts, dtype)

    def _warn(self, encoded: Sequence[Encoded]) -> None:
        counts = []
        for block, part in zip(self.blocks, encoded, strict=True):
            tally = np.bincount(part.columns, minlength=block.width)
            unknown = tally[-2] if block.has_unknown else 0
            at = block.missing_column
            missing = part.n_hidden + (0 if at is None else tally[at])
            if unknown or missing:
                counts.append(f"{block.name}: {unknown} unknown, {missing} missing")
        if counts:
            warn("Cells by column: " + "; ".join(counts))

    def decode(self, X: sp.csr_matrix) -> np.ndarray:
        """Return the table of an encoded matrix, with an object for each cell."""
        return decode(self.blocks, self.shared, self.sources, self.starts, X)


def _is_flag(block: Block) -> bool:
    return getattr(block, "is_flag", False)
