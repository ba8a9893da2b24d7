"""Data that the chains of a problem share and do not change."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .layout import Layout, lay_out
from .priors import moment_chunks
from .problem import Prior, Problem
from .rows import MergedRows, merge_rows


@dataclass(frozen=True)
class Data:
    """Data that the chains of a problem share and do not change.

    Attributes
    ----------
    problem : Problem
    rows : MergedRows
    layout : Layout
    prior : Prior
    scales : ndarray of shape (n_factors + 1,)
        Scales of the half-t priors.
    fields : ndarray of shape (n_columns,), int32
        Field of each column.
    moment_chunks : ndarray of shape (n_chunks, 3), int64
        Ranges of columns for the moments of fields: see `priors.moment_chunks`.
    """

    problem: Problem
    rows: MergedRows
    layout: Layout
    prior: Prior
    scales: np.ndarray
    fields: np.ndarray = field(init=False)
    moment_chunks: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        bounds = [part.start for part in self.layout.fields]
        bounds.append(len(self.layout.columns.ids))
        chunks = moment_chunks(np.array(bounds))
        object.__setattr__(self, "fields", self.problem.field_of_columns())
        object.__setattr__(self, "moment_chunks", chunks)

    @classmethod
    def of(
        cls, problem: Problem, prior: Prior, n_factors: int, n_threads: int = 1
    ) -> Data:
        """Merge the rows of a problem and arrange them by column."""
        rows = merge_rows(problem, n_threads)
        layout = lay_out(problem, rows)
        scales = prior.scales(n_factors, layout.entries)
        return cls(problem, rows, layout, prior, scales)

    @property
    def n_factors(self) -> int:
        return len(self.scales) - 1
