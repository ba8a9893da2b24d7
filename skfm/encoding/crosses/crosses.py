"""Crosses of a table, which are found or given, learnt from rows, and encoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...persistence.records import require, saved
from ..blocks import Block, Encoded
from .evidence import Evidence
from .fields import crossable_fields, field_codes
from .found import LevelCross, StatisticCross
from .levels import Codes, Weight
from .scores import Candidate

__all__ = ["CrossInfo", "Crosses"]

#: Number of folds of the statistics of training rows, and for the smallest tables.
_N_FOLDS = 10


@saved("record")
@dataclass
class Crosses:
    """Crosses of the fields of a table.

    Attributes
    ----------
    items : list of LevelCross or StatisticCross
    """

    items: list[LevelCross | StatisticCross] = field(default_factory=list)

    def check(self) -> None:
        """Raise a ValueError unless each item is a cross."""
        known = isinstance(self.items, list) and all(
            isinstance(item, LevelCross | StatisticCross) for item in self.items
        )
        require(known, "a cross is none")

    def check_fits(self, blocks: Sequence[Block]) -> None:
        """Raise a ValueError unless these are crosses of the fields of blocks."""
        widths = [field.width for field in crossable_fields(blocks)]
        for item in self.items:
            fit = max(item.fields) < len(widths) and item.widths == tuple(
                widths[f] for f in item.fields
            )
            require(fit, "a cross is of other fields")

    @classmethod
    def learn(
        cls,
        found: Sequence[tuple[Candidate, Evidence]],
        codes: Codes,
        widths: Sequence[int],
        y: np.ndarray,
        *,
        min_count: int = 2,
        random_state: np.random.RandomState,
        weight: Weight = None,
    ) -> tuple[Crosses, list[np.ndarray]]:
        """Return the crosses with the levels of these rows, and the rows encoded.

        Parameters
        ----------
        found : sequence of (Candidate, Evidence)
            Result of `CrossSearch.run`, or crosses that the user names.
        codes : ndarray of int of shape (n_rows, n_fields)
        widths : sequence of int
            Number of levels of each field.
        y : ndarray of float of shape (n_rows, n_outputs)
            Targets. Statistics are of the first output.
        min_count : int, default=2
            Levels with fewer rows share a column.
        random_state : RandomState
            Draws the folds of statistics.
        weight : ndarray of float of shape (n_rows,) or None, default=None
            Weight of each row, as a number of equal rows; None: one.

        Returns
        -------
        crosses : Crosses
        columns : list of ndarray of int32 of shape (n_rows,)
            Level of each row in each cross. Statistics are out of fold, and differ
            from the result of `encode` for the same rows.
        """
        folds = random_state.permutation(len(codes)) % _N_FOLDS
        items: list[LevelCross | StatisticCross] = []
        columns = []
        for candidate, evidence in found:
            known = evidence.gain, evidence.variance, evidence.z
            if candidate.statistic:
                statistic, encoded = StatisticCross.learn(
                    candidate.fields,
                    widths,
                    codes,
                    y[:, 0],
                    folds,
                    known,
                    weight=weight,
                )
                items.append(statistic)
            else:
                cross = LevelCross.learn(
                    candidate.fields, widths, codes, min_count, known, weight=weight
                )
                encoded = cross.encode(codes)
                items.append(cross)
            columns.append(encoded)
        return cls(items), columns

    def encode(
        self, blocks: Sequence[Block], encoded: Sequence[Encoded]
    ) -> list[np.ndarray]:
        """Return the level of each row for each cross.

        Parameters
        ----------
        blocks : sequence of Block
        encoded : sequence of Encoded
            The rows, by block.
        """
        if not self.items:
            return []
        return self.encode_codes(field_codes(crossable_fields(blocks), encoded))

    def encode_codes(self, codes: Codes) -> list[np.ndarray]:
        """Return the result of `encode`, given the level of each row in each field."""
        return [item.encode(codes) for item in self.items]

    @property
    def widths(self) -> list[int]:
        """Number of levels of each cross."""
        return [item.width for item in self.items]

    def names(
        self, blocks: Sequence[Block], columns: Iterable[Any] | None = None
    ) -> list[str]:
        """Return the names of the crosses, given those of the columns."""
        fields = crossable_fields(blocks, columns)
        return [
            " x ".join(fields[f].name for f in item.fields) + item.suffix
            for item in self.items
        ]

    def labels(self, blocks: Sequence[Block]) -> list[list[str]]:
        """Return the names of the known levels of each cross."""
        fields = crossable_fields(blocks)
        return [
            item.labels(
                [fields[f].labels(blocks[fields[f].block]) for f in item.fields]
            )
            for item in self.items
        ]

    def describe(self, blocks: Sequence[Block]) -> list[CrossInfo]:
        """Return a description of each cross for users."""
        fields = crossable_fields(blocks)
        return [
            CrossInfo(
                name=name,
                columns=tuple(str(blocks[fields[f].block].name) for f in item.fields),
                kind=item.kind,
                n_levels=item.width,
                gain=item.gain,
                variance=item.variance,
                z=item.z,
            )
            for name, item in zip(self.names(blocks), self.items, strict=True)
        ]


class CrossInfo(NamedTuple):
    """Description of a cross for users.

    Attributes
    ----------
    name : str
        Name of its column, such as ``"month x day"``.
    columns : tuple of str
        Columns that it crosses.
    kind : {"levels", "statistics"}
        Whether it has a level for each combination, or for each count and mean of the
        target.
    n_levels : int
        Number of levels.
    gain : float
        Estimated gain in log-likelihood when it was added; NaN for crosses that were
        given.
    variance : float
        Variance of the effects of its levels on the score.
    z : float
        Standard score of the variance where the cross has no effect.
    """

    name: str
    columns: tuple[str, ...]
    kind: str
    n_levels: int
    gain: float
    variance: float
    z: float
