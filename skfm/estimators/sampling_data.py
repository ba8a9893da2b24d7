"""Checked data of a ranker that draws negatives: interactions, and whose they are."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ..data.csr import canonical_csr
from ..data.negatives import Exposed, Unknown
from ..data.sampled import Halves, Positives, SampledSource
from ..encoding.codec import TableCodec
from ..encoding.ids import match, read_ids, read_table
from ..encoding.tables import read_columns
from ..losses import Loss
from .data import Data, FitData, Material

#: Users whose interactions are held out, at most, and the negatives beside them.
_HELD_OUT_USERS, _HELD_OUT_NEGATIVES = 2000, 100


class Choices(NamedTuple):
    """The user and the item of each row of a joined table.

    Attributes
    ----------
    table : DataFrame
        The rows with all that is known of their users and items.
    users, items : ndarray of int64 of shape (n_rows,)
        Numbers of the users and of the items.
    user_ids, item_ids : Index
        Ids by number.
    item_columns : list
        The table's columns that tell of the item.
    """

    table: pd.DataFrame
    users: np.ndarray
    items: np.ndarray
    user_ids: pd.Index
    item_ids: pd.Index
    item_columns: list[Any]


def join_tables(
    X: Any,
    users: Any,
    items: Any,
    *,
    user: Hashable,
    item: Hashable,
    known: Choices | None = None,
    name: str = "X",
) -> Choices:
    """Join interactions with what is known of their users and items.

    Parameters
    ----------
    X : DataFrame
        One row per interaction, with the columns ``user`` and ``item``.
    users, items : DataFrame or None
        One row per user, and per item.
    user, item : hashable
        Names of the columns of ids.
    known : Choices or None
        Other interactions, whose numbers of users and items hold.
    name : str
        Name of X in errors.

    Raises
    ------
    ValueError
        If a table lacks a column or an id, has an id twice, or shares another column
        with X, or if users and items are the same column.
    """
    if user == item:
        raise ValueError(
            f"user and item are both {user!r}: name two columns of {name}."
        )
    table = read_table(X, name)
    user_ids, item_ids = read_ids(table, user, name), read_ids(table, item, name)
    parts, item_columns = [table], [item]
    for side, ids, called in ((users, user_ids, "users"), (items, item_ids, "items")):
        if side is None:
            continue
        more = _look_up(side, ids, called, table.columns)
        parts.append(more)
        if called == "items":
            item_columns += list(more.columns)
    joined = pd.concat([part.reset_index(drop=True) for part in parts], axis=1)
    # Ids are categories, also where they are numbers.
    joined = joined.astype({user: "category", item: "category"})
    if known is None:
        coded, distinct = zip(
            *(pd.factorize(ids) for ids in (user_ids, item_ids)), strict=True
        )
        names = [pd.Index(d) for d in distinct]
    else:
        names = [known.user_ids, known.item_ids]
        coded = tuple(
            match(ids, n) for ids, n in zip((user_ids, item_ids), names, strict=True)
        )
        _check_known(coded, (user_ids, item_ids), name)
    codes = [np.asarray(c, np.int64) for c in coded]
    return Choices(joined, codes[0], codes[1], names[0], names[1], item_columns)


def _look_up(side: Any, ids: pd.Index, called: str, taken: Any) -> pd.DataFrame:
    """Return the rows of a table of users or items for each of ``ids``."""
    table, column = read_table(side, called), ids.name
    known = read_ids(table, column, called)
    if known.has_duplicates:
        raise ValueError(
            f"{called} has {column!r} {known[known.duplicated()][0]!r} in several "
            "rows: each must have one."
        )
    rows = match(ids, known)
    if (rows < 0).any():
        missing = ids[rows < 0].unique()
        raise ValueError(
            f"{called} lacks {len(missing)} of the {column!r} of X, such as "
            f"{missing[0]!r}: add their rows, with None where nothing is known."
        )
    more = table.drop(columns=column)
    both = [name for name in more.columns if name in taken]
    if both:
        raise ValueError(
            f"Both X and {called} have column {both[0]!r}: drop it from one of them."
        )
    return more.iloc[rows]


def _check_known(
    codes: tuple[np.ndarray, ...], ids: tuple[pd.Index, ...], name: str
) -> None:
    for numbers, named in zip(codes, ids, strict=True):
        if (numbers < 0).any():
            raise ValueError(
                f"{name} has {named.name!r} {named[numbers < 0][0]!r}, which X has "
                "not: rows to stop on must be of known users and items."
            )


class Interactions(NamedTuple):
    """Checked positives, with their users and items.

    Attributes
    ----------
    data : Data
        The joined rows; the target tells which were chosen.
    choices : Choices
    halves : Halves
        Entries that tell of users and contexts, and of items, of each row.
    n_negatives : int
    sampling : float or "exposures"
    """

    data: Data
    choices: Choices
    halves: Halves
    n_negatives: int
    sampling: float | str

    @property
    def X(self) -> Any:
        return self.data.X

    @property
    def n_rows(self) -> int:
        return int((self.data.target > 0).sum())

    @property
    def n_columns(self) -> int:
        return self.data.n_columns

    @property
    def streamed(self) -> bool:
        return False

    @property
    def ranked(self) -> bool:
        # Each row is seen with its own negatives: of a user, rows are apart.
        return False

    @property
    def offset(self) -> None:
        return None

    def in_memory(self) -> Data:
        return self.data

    def loss(self, model: Any) -> Loss:
        return self.data.loss(model)

    def dtype(self, asked: str) -> str:
        return self.data.dtype(asked)

    def material(
        self,
        model: Any,
        loss: Loss,
        dtype: str,
        held_out: FitData | None,
        fraction: float | None,
        rng: np.random.Generator,
        taken: np.ndarray,
    ) -> Material:
        """Prepare the positives, and the rows to stop on."""
        positives = self._positives(dtype)
        rows = np.flatnonzero((self.data.target > 0) & self._can_draw(positives))
        if not len(rows):
            raise ValueError(
                "No user has an item to draw as a negative: all users have all items "
                "of X, or were shown none that they did not choose."
            )
        train, part = rows, None
        if isinstance(held_out, Interactions):
            given = held_out._positives(dtype)
            known = given.__class__(**vars(given) | {"sampler": positives.sampler})
            there = np.flatnonzero(held_out._can_draw(known))
            part = known.against(there, _HELD_OUT_NEGATIVES, int(rng.integers(2**62)))
        elif fraction is not None:
            train, rest = self._hold_out(rows, fraction, rng)
            if len(rest):
                seed = int(rng.integers(2**62))
                part = positives.against(rest, _HELD_OUT_NEGATIVES, seed)
        source = SampledSource(positives, train, part)
        return Material(source, lambda: np.zeros(1))

    def _can_draw(self, positives: Positives) -> np.ndarray:
        """Mask of the rows whose user has an item to draw."""
        can: np.ndarray = (positives.sampler.totals() > 0)[self.choices.users]
        return can

    def _positives(self, dtype: str) -> Positives:
        choices, target = self.choices, self.data.target
        halves = self.halves
        _, firsts = np.unique(choices.items, return_index=True)
        n_items = len(choices.item_ids)
        if len(firsts) < n_items:  # rows to stop on, which need not have all items
            pick = np.zeros(n_items, np.int64)
            pick[np.unique(choices.items)] = firsts
            firsts = pick
        shape = len(choices.user_ids), n_items
        sampler: Unknown | Exposed
        if isinstance(self.sampling, str):
            shown = target == 0
            sampler = Exposed.of(choices.users[shown], choices.items[shown], shape[0])
        else:
            sampler = Unknown.of(choices.users, choices.items, shape, self.sampling)
        return Positives(
            Halves(halves.contexts, halves.items[firsts], halves.overlapping),
            choices.users,
            choices.items,
            self.data.weight / self.data.weight.mean(),
            sampler,
            self.n_negatives,
            dtype,
        )

    def _hold_out(
        self, rows: np.ndarray, fraction: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Split positives: a share of those of each of some users, who keep one."""
        users = self.choices.users[rows]
        order = np.lexsort((rng.random(len(rows)), users))
        distinct, starts, sizes = np.unique(
            users[order], return_index=True, return_counts=True
        )
        n_held = np.minimum(np.maximum(np.round(fraction * sizes), 1), sizes - 1)
        if len(distinct) > _HELD_OUT_USERS:
            left = rng.permutation(len(distinct))[_HELD_OUT_USERS:]
            n_held[left] = 0
        position = np.arange(len(rows)) - np.repeat(starts, sizes)
        held = order[position < np.repeat(n_held, sizes)]
        mask = np.zeros(len(rows), np.bool_)
        mask[held] = True
        return rows[~mask], rows[mask]


def split(codec: TableCodec, X: Any, choices: Choices) -> Halves:
    """Split the entries of rows into those of users and contexts, and of items.

    Parameters
    ----------
    codec : TableCodec
        Encoding of the table, without crosses.
    X : CSR array
        The encoded rows.
    choices : Choices
        The rows.
    """
    of_items = np.isin(codec.names, choices.item_columns)
    if codec.shared.divided(of_items) is None:
        inside = of_items[codec.sources][X.indices]
        return Halves(_only(X, ~inside), _only(X, inside))
    # The entries of a column that users and items share have been added.
    encoded = dict(enumerate(codec.encode(read_columns(choices.table))))
    contexts, items = (
        {number: part for number, part in encoded.items() if of_items[number] == own}
        for own in (False, True)
    )
    return Halves(
        canonical_csr(codec.matrix_of(contexts, X.shape[0], np.float64)),
        canonical_csr(codec.matrix_of(items, X.shape[0], np.float64)),
        overlapping=True,
    )


def _only(X: Any, entries: np.ndarray) -> Any:
    """CSR of some of the entries of a matrix."""
    before = np.concatenate([[0], np.cumsum(entries)])
    indptr = before[X.indptr]
    return sp.csr_array((X.data[entries], X.indices[entries], indptr), shape=X.shape)
