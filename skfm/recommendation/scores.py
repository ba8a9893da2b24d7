"""Scores of all pairs of users and items, by the structure of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..data.batch import PREDICTION_BATCH
from ..data.rows import Rows
from ..inspection.reading import Model
from ..nn.network import Network
from ..nn.posterior import PosteriorNetwork
from ..sparse.lookup import Lookup
from .lookups import look_up, summed_embeddings
from .samples import SampleScores
from .tables import Part, Side
from .top import PairScores

#: Rows of the table of pairs that are encoded at a time.
_PAIRS_PER_TABLE = 1 << 17


def pair_scores(model: Model, users: Part, items: Part) -> PairScores:
    """Return what scores the pairs of two parts fastest."""
    network = model.network
    rows = users.rows(model), items.rows(model)
    few = rows[0].span(0, 0)
    if network.prepare(few) is not few or network.lookup == "by_nonzero":
        return JoinedScores(model, users, items)
    if isinstance(network, PosteriorNetwork) and network.link != "identity":
        return SampleScores.of(network, *rows)
    product = ProductScores.of(network, *rows)
    return product or SummedScores(network, *(look_up(network, r) for r in rows))


def _cross_vectors(network: Network, rows: Rows, lookup: Any) -> Any:
    """Return what `Network.cross_vectors` does, of samples as well."""
    if isinstance(network, PosteriorNetwork):
        # The inner product of all samples' factors is the mean of those of each.
        summed = torch.from_numpy(summed_embeddings(network, rows))
        return summed, summed
    return network.cross_vectors(lookup)


@dataclass(frozen=True)
class ProductScores:
    """Scores that are one matrix product.

    A pair scores own(u) + own(i) + <left(u), right(i)>, where own is the score of a row
    alone, less the bias for items: the product of (left, 1, own) and (right, own, 1).

    Attributes
    ----------
    left, right : Tensor of shape (n_users, d) and (n_items, d)
    """

    left: Tensor
    right: Tensor
    threaded = True

    @classmethod
    def of(cls, network: Network, users: Rows, items: Rows) -> ProductScores | None:
        """Return the scores of a network, if they are of this form."""
        lookups = look_up(network, users), look_up(network, items)
        with torch.no_grad():
            vectors = [
                _cross_vectors(network, *part)
                for part in zip((users, items), lookups, strict=True)
            ]
            if vectors[0] is None or vectors[1] is None:
                return None
            own = [network(lookup) for lookup in lookups]
            left, right = vectors[0][0], vectors[1][1]
            # Fields that items have no entries in add nothing.
            used = (right != 0).any(dim=0)
            ones = [torch.ones_like(scores) for scores in own]
            return cls(
                torch.cat([left[:, used], ones[0], own[0]], dim=1),
                torch.cat([right[:, used], own[1] - network.bias, ones[1]], dim=1),
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return len(self.left), len(self.right)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the scores of users ``start`` to ``stop`` with all items."""
        with torch.no_grad():
            return (self.left[start:stop] @ self.right.T).cpu().numpy()


@dataclass(frozen=True)
class SummedScores:
    """Scores of a network that reads sums over entries.

    Each sum of a pair is that of the user plus that of the item, both looked up once.
    """

    network: Network
    users: Lookup
    items: Lookup
    threaded = True

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return len(self.users.linear), len(self.items.linear)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the scores of users ``start`` to ``stop`` with all items."""
        n_items = self.shape[1]
        network, table = self.network, self.network.table
        budget = network.chunk_rows(table.n_fields or 1) or PREDICTION_BATCH
        size = min(PREDICTION_BATCH, budget)
        n_users, width = max(1, size // n_items), min(size, n_items)
        scores = network.bias.new_empty(stop - start, n_items)
        with torch.no_grad():
            for u in range(start, stop, n_users):
                users = slice(u, min(u + n_users, stop))
                for i in range(0, n_items, width):
                    items = slice(i, i + width)
                    found = network(_sums(self.users, users, self.items, items))
                    part = scores[u - start : users.stop - start, items]
                    part.copy_(found.view_as(part))
        return scores.cpu().numpy()


def _sums(first: Lookup, rows: slice, second: Lookup, others: slice) -> Lookup:
    """Look-up of all pairs of some rows of two look-ups: the sums of both."""
    summed = {
        part.name: (
            getattr(first, part.name)[rows, None] + getattr(second, part.name)[others]
        ).flatten(0, 1)
        for part in fields(first)
    }
    return type(first)(**summed)


@dataclass(frozen=True)
class JoinedScores:
    """Scores of rows that are joined from both parts."""

    model: Model
    users: Part
    items: Part
    threaded = True

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return self.users.csr.shape[0], self.items.csr.shape[0]

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the scores of users ``start`` to ``stop`` with all items."""
        n_items = self.shape[1]
        scores = np.empty((stop - start) * n_items)
        for lo in range(0, len(scores), PREDICTION_BATCH):
            pairs = np.arange(lo, min(lo + PREDICTION_BATCH, len(scores)))
            users = self.users.csr[start + pairs // n_items]
            joined = replace(
                self.users,
                csr=users + self.items.csr[pairs % n_items],
                mask=self.users.mask | self.items.mask,
            )
            rows = joined.rows(self.model)
            found = self.model.network.score(rows.span(0, len(rows)))
            scores[lo : lo + PREDICTION_BATCH] = found[:, 0].cpu().numpy()
        return scores.reshape(-1, n_items)


@dataclass(frozen=True)
class TableScores:
    """Scores of any estimator, which is given the table of all pairs piece by piece."""

    predict: Callable[[Any], np.ndarray]
    users: Side
    items: Side
    columns: tuple[list[Any], list[Any]]
    threaded = False

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return len(self.users.ids), len(self.items.ids)

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return (
            self.users.rows[self.columns[0]].reset_index(drop=True),
            self.items.rows[self.columns[1]].reset_index(drop=True),
        )

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the scores of users ``start`` to ``stop`` with all items."""
        n_items = self.shape[1]
        users, items = self._tables
        scores = np.empty((stop - start) * n_items)
        for lo in range(0, len(scores), _PAIRS_PER_TABLE):
            pairs = np.arange(lo, min(lo + _PAIRS_PER_TABLE, len(scores)))
            left = users.take(start + pairs // n_items).reset_index(drop=True)
            right = items.take(pairs % n_items).reset_index(drop=True)
            table = pd.concat([left, right], axis=1)
            scores[lo : lo + _PAIRS_PER_TABLE] = self.predict(table)
        return scores.reshape(-1, n_items)
