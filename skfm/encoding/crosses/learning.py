"""Crosses that are learnt from a table, and given or found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..blocks import Block
from ..selection import column_position
from .additive import additive_model
from .crosses import Crosses
from .evidence import Evidence
from .fields import crossable_fields
from .levels import Codes
from .scores import Candidate
from .search import CrossSearch, ResidualModel
from .target import Target

__all__ = ["CrossOptions", "learn_crosses"]

_NOT_WEIGHED = Evidence(*[float("nan")] * 5)


@dataclass(frozen=True)
class CrossOptions:
    """Options of the search for crosses.

    Attributes
    ----------
    crosses : "auto" or list of tuples
        Crosses to find or to add, as in `FieldCrosses`.
    max_crosses, max_degree, min_count, statistics
        See `CrossSearch`.
    judge : callable or None
        Makes, as `additive_model` does, a model that must lack a cross as well.
    """

    crosses: Any = "auto"
    max_crosses: int = 5
    max_degree: int = 3
    min_count: int = 2
    statistics: bool = True
    judge: Callable[..., ResidualModel] | None = None


def learn_crosses(
    blocks: Sequence[Block],
    codes: Codes,
    target: Target,
    options: CrossOptions,
    random_state: np.random.RandomState,
    *,
    named: bool,
) -> tuple[Crosses, list[np.ndarray]]:
    """Return the crosses of a table, and the rows encoded; see `Crosses.learn`.

    Rows of weight zero are not learnt from. They are encoded as new rows.

    Parameters
    ----------
    blocks : sequence of Block
        Learned encodings of the columns.
    codes : ndarray of int of shape (n_rows, n_fields)
        Levels of the rows in the fields that `crossable_fields` returns.
    target : Target
    options : CrossOptions
    random_state : RandomState
    named : bool
        Whether the columns have names, which crosses may then use.

    Raises
    ------
    ValueError
        When the given crosses are not tuples of columns.
    """
    rows = target.counted
    crosses, columns = _learn(
        blocks, codes[rows], target.take(rows), options, random_state, named=named
    )
    if not isinstance(rows, slice):
        own, columns = columns, crosses.encode_codes(codes)
        for column, counted in zip(columns, own, strict=True):
            column[rows] = counted
    return crosses, columns


def _learn(
    blocks: Sequence[Block],
    codes: Codes,
    target: Target,
    options: CrossOptions,
    random_state: np.random.RandomState,
    *,
    named: bool,
) -> tuple[Crosses, list[np.ndarray]]:
    """Learn from rows, all of which have a weight above zero."""
    fields = crossable_fields(blocks)
    widths = [field.width for field in fields]
    if not isinstance(options.crosses, str):
        asked = _asked(options.crosses, blocks, named)
        found = [(candidate, _NOT_WEIGHED) for candidate in asked]
    elif target.is_constant:
        found = []
    else:

        def made(make: Callable[..., ResidualModel]) -> ResidualModel:
            return make(
                list(codes.T),
                widths,
                target.values,
                logistic=target.is_logistic,
                weight=target.weight,
            )

        search = CrossSearch(
            codes,
            widths,
            target.values,
            [field.source for field in fields],
            max_crosses=options.max_crosses,
            max_degree=options.max_degree,
            min_count=options.min_count,
            statistics=options.statistics,
            weight=target.weight,
        )
        judge = None if options.judge is None else made(options.judge)
        found = search.run(made(additive_model), random_state, judge)
    return Crosses.learn(
        found,
        codes,
        widths,
        target.values,
        min_count=options.min_count,
        random_state=random_state,
        weight=target.weight,
    )


def _asked(crosses: Any, blocks: Sequence[Block], named: bool) -> list[Candidate]:
    """Return the crosses that a user asks for."""
    names = [block.name for block in blocks]
    # The last field of a number is the finest.
    last = {
        field.block: f
        for f, field in enumerate(crossable_fields(blocks))
        if not field.is_calendar
    }
    candidates = []
    for cross in crosses:
        if isinstance(cross, str) or not np.iterable(cross) or len(set(cross)) < 2:
            raise ValueError(
                f"crosses holds {cross!r}, which is not a tuple of two or more "
                'different columns. Use a list such as [("month", "day")].'
            )
        columns = sorted({column_position(c, names, named, "crosses") for c in cross})
        for column in columns:
            if column not in last:
                raise ValueError(
                    f"crosses holds {cross!r}, but column {names[column]!r} has no "
                    "one value in each cell that could be crossed: it holds lists, "
                    "vectors, or parts of dates only. Name other columns."
                )
        candidates.append(Candidate(tuple(last[column] for column in columns)))
    return candidates
