"""Learned encoding of a table's columns, independent of any estimator.

An estimator that takes tables itself holds a `TableCodec` and needs nothing else:
``TableCodec.create`` and ``learn``, then ``encode`` and ``matrix``, of the columns that
`read_columns` returns.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from skfm.encoding.blocks import Block, Encoded, SampledBlock
from skfm.encoding.categories import CategoryBlock
from skfm.encoding.crosses.crosses import Crosses
from skfm.encoding.crosses.fields import crossable_fields, field_codes
from skfm.encoding.crosses.learning import CrossOptions, learn_crosses
from skfm.encoding.crosses.target import Target
from skfm.encoding.dates import DateBlock
from skfm.encoding.decoding import decode
from skfm.encoding.flags import exclude_each_other, join_flags
from skfm.encoding.layout import assemble, make_blocks
from skfm.encoding.multi_valued import MultiValuedBlock
from skfm.encoding.nested import NestedBlock
from skfm.encoding.shared import SharedCategories, learn_together
from skfm.encoding.vectors import VectorBlock
from skfm.fields.layout import unique_names
from skfm.persistence.records import is_integer, is_registered, require, saved
from skfm.runtime.warnings import warn

__all__ = ["TableCodec"]

Columns = Sequence[pd.Series]


@saved("record")
@dataclass(frozen=True)
class TableCodec:
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
    ) -> tuple[TableCodec, list[NDArray[np.int32]]]:
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
        crossed: Sequence[NDArray[np.int32]] | None = None,
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

    def decode(self, X: sp.csr_matrix) -> NDArray[Any]:
        """Return the table of an encoded matrix, with an object for each cell."""
        return decode(self.blocks, self.shared, self.sources, self.starts, X)

    @property
    def widths(self) -> list[int]:
        """Number of matrix columns of each block, then of each cross.

        Columns that a group shares belong to its first block.
        """
        others = self.shared.followers
        own = [0 if j in others else b.width for j, b in enumerate(self.blocks)]
        return [*own, *self.crosses.widths]

    @property
    def starts(self) -> list[int]:
        """First matrix column of each block, then of each cross."""
        starts = np.cumsum([0, *self.widths[:-1]]).tolist()
        for number, first in self.shared.followers.items():
            starts[number] = starts[first]
        return starts

    @property
    def names(self) -> NDArray[Any]:
        """Name of each column of the table."""
        return np.array([block.name for block in self.blocks], dtype=object)

    @property
    def sources(self) -> NDArray[np.int32]:
        """Column of the table from which each matrix column is made.

        The numbers of crosses follow those of the table's columns. For columns that
        share matrix columns, the first one is given.
        """
        widths = self.widths
        return np.repeat(np.arange(len(widths), dtype=np.int32), widths)

    def spread(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask of matrix columns, given one of the table's columns.

        A cross is chosen if all of its columns are, and shared columns if one of the
        columns that share them is.
        """
        fields = crossable_fields(self.blocks)
        crosses = [
            all(mask[fields[f].block] for f in item.fields)
            for item in self.crosses.items
        ]
        own = self.shared.spread(mask)
        chosen: NDArray[np.bool_] = np.append(own, crosses).astype(bool)[self.sources]
        return chosen

    @property
    def fields(self) -> NDArray[np.int32]:
        """Field of each matrix column."""
        fields, widths, number = [], [], -1
        for j, block in enumerate(self.blocks):
            if j in self.shared.followers:
                continue
            continues = self.joined.get(j, (j, ""))[0] != j
            for width in _field_widths(block).values():
                number += not continues
                fields.append(number)
                widths.append(width)
        crosses = self.crosses.widths
        fields += range(number + 1, number + 1 + len(crosses))
        return np.repeat(np.array(fields, dtype=np.int32), widths + crosses)

    @property
    def field_names(self) -> NDArray[Any]:
        """Name of each field."""
        names, variables = [], self._variables
        for j, block in enumerate(self.blocks):
            first, name = variables.get(j, (j, block.name))
            if first == j:
                added = _field_widths(block)
                names += [f"{name}_{part}" if part else name for part in added]
        names += self.crosses.names(self.blocks)
        if len(set(map(str, names))) < len(names):
            names = unique_names(names)
        return np.array(names, dtype=object)

    @property
    def variables(self) -> tuple[NDArray[np.int32], list[str]]:
        """Number of the variable of each matrix column, and names of the variables.

        A variable is a column of the table, a group of dummies, a group of columns that
        share their categories, or a cross.
        """
        own, variables = (
            [*self.names, *self.crosses.names(self.blocks)],
            self._variables,
        )
        firsts = [variables.get(j, (j, ""))[0] for j in range(len(own))]
        kept, numbers = np.unique(firsts, return_inverse=True)
        names = [variables.get(j, (j, own[j]))[1] for j in kept.tolist()]
        return numbers.astype(np.int32)[self.sources], unique_names(names)

    @property
    def _variables(self) -> dict[int, tuple[int, str]]:
        """First block and name of each variable that has several blocks, by block."""
        return {**self.joined, **self.shared.variables(self.names)}

    @property
    def terms(self) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Number of the term of each matrix column, and names of the terms.

        All columns of a number are one term. Each other column is a term.
        """
        whole = np.zeros(len(self.widths), dtype=bool)
        whole[: len(self.blocks)] = [
            isinstance(b, NestedBlock | DateBlock | VectorBlock) for b in self.blocks
        ]
        first = np.repeat(np.cumsum([0, *self.widths[:-1]]), self.widths)
        own = np.arange(len(first))
        kept, numbers = np.unique(
            np.where(whole[self.sources], first, own), return_inverse=True
        )
        source = self.sources[kept]
        names = self.column_names()[kept]
        is_whole = whole[source]
        names[is_whole] = self.names[source[is_whole]]
        return numbers, names

    def categories(self, *, infrequent: bool) -> list[NDArray[Any] | None]:
        """Return the categories of each block, or None if it has none."""
        inner = [b.inner if isinstance(b, MultiValuedBlock) else b for b in self.blocks]
        return [
            _share(b.vocabulary, b.infrequent == infrequent)
            if isinstance(b, CategoryBlock)
            else None
            for b in inner
        ]

    def column_names(self, names: Iterable[Any] | None = None) -> NDArray[Any]:
        """Return the names of the matrix columns, given those of the table."""
        given = list(self.names if names is None else names)
        called, others = self.shared.called(given), self.shared.followers
        labels = [
            [] if j in others else block.labels() for j, block in enumerate(self.blocks)
        ]
        if self.crosses.items:
            called += self.crosses.names(self.blocks, given)
            labels += self.crosses.labels(self.blocks)
        return np.array(
            [
                f"{name}_{label}" if label else str(name)
                for name, own in zip(called, labels, strict=True)
                for label in own
            ],
            dtype=object,
        )


def _is_flag(block: Block) -> bool:
    return getattr(block, "is_flag", False)


def _field_widths(block: Block) -> dict[str, int]:
    """Width of each field of a block, by what it adds to the block's name."""
    if isinstance(block, NestedBlock | DateBlock):
        return block.field_widths
    return {"": block.width}


def _share(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values[mask], without a copy if the mask selects all."""
    if not mask.all():
        return values[mask]
    shared = values[:]
    shared.flags.writeable = False
    return shared
