"""Scores of all pairs of users and items, by the structure of the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from ..data.batch import PREDICTION_BATCH
from ..data.rows import Rows
from ..inspection.reading import Model
from ..nn.network import Network
from ..nn.posterior import PosteriorNetwork
from ..sparse.lookup import Lookup
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
    return product or SummedScores(network, *(_look_up(network, r) for r in rows))


def _look_up(network: Network, rows: Rows) -> Any:
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
        lookups = _look_up(network, users), _look_up(network, items)
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
class SampleScores:
    """Scores under the samples of a posterior, each a matrix product.

    Attributes
    ----------
    left, right : Tensor of shape (S, n_users, k) and (S, n_items, k)
    own : (Tensor, Tensor)
        Scores of the rows alone, (n_users, S) and (n_items, S), of which those of the
        items lack the bias.
    logistic : bool
        Whether raw scores are the log odds of the mean probability, or means.
    drawn : ndarray of shape (n_users,) or None
        The sample that scores each user; None: all.
    """

    left: Tensor
    right: Tensor
    own: tuple[Tensor, Tensor]
    logistic: bool
    drawn: np.ndarray | None = None
    threaded = True

    @classmethod
    def of(cls, network: PosteriorNetwork, users: Rows, items: Rows) -> SampleScores:
        """Return the scores of the samples of a network with one output."""
        lookups = _look_up(network, users), _look_up(network, items)
        n_samples = network.shape.n_samples
        with torch.no_grad():
            parts = [
                torch.from_numpy(summed_embeddings(network, rows) * n_samples**0.5)
                .view(len(rows), n_samples, -1)
                .transpose(0, 1)
                for rows in (users, items)
            ]
            own = [network.sample_scores(lookup)[:, :, 0] for lookup in lookups]
            constant = (network.offsets + network.bias)[:, 0]
        return cls(
            parts[0].contiguous(),
            parts[1].contiguous(),
            (own[0], own[1] - constant),
            network.link == "logit",
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""
        return self.left.shape[1], self.right.shape[1]

    def draw(self, rng: np.random.RandomState) -> SampleScores:
        """Return the scores of each user under a sample drawn for it."""
        return replace(self, drawn=rng.randint(len(self.left), size=self.shape[0]))

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the scores of users ``start`` to ``stop`` with all items."""
        with torch.no_grad():
            if self.drawn is None:
                return self._averaged(start, stop).cpu().numpy()
            out = self.left.new_empty(stop - start, self.shape[1])
            drawn = self.drawn[start:stop]
            for sample in np.unique(drawn):
                rows = torch.from_numpy(np.flatnonzero(drawn == sample)) + start
                out[rows - start] = self._under(int(sample), rows.to(out.device))
            return out.cpu().numpy()

    def _under(self, sample: int, rows: Any) -> Tensor:
        left, right = self.left[sample, rows], self.right[sample]
        scores = torch.addmm(self.own[1][:, sample], left, right.T)
        return scores + self.own[0][rows, sample][:, None]

    def _averaged(self, start: int, stop: int) -> Tensor:
        rows = slice(start, stop)
        each = (self._under(s, rows) for s in range(len(self.left)))
        if not self.logistic:
            return sum(each, start=self.left.new_zeros(())) / len(self.left)
        # The log odds of the mean probability, without the rounding of 1 - p.
        positive = negative = self.left.new_zeros(())
        for scores in each:
            positive = positive + torch.sigmoid(scores)
            negative = negative + torch.sigmoid(-scores)
        tiny = torch.finfo(positive.dtype).tiny
        return positive.clamp(min=tiny).log() - negative.clamp(min=tiny).log()

    def deviations(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Compute the standard deviation of the scores of some pairs."""
        found = np.empty(len(users))
        size = max(1, (1 << 22) // self.left[:, 0].numel())
        with torch.no_grad():
            for start in range(0, len(users), size):
                u = torch.from_numpy(users[start : start + size]).to(self.left.device)
                i = torch.from_numpy(items[start : start + size]).to(self.left.device)
                pairs = (self.left[:, u] * self.right[:, i]).sum(dim=2).T
                scores = pairs + self.own[0][u] + self.own[1][i]
                deviations = scores.double().std(dim=1, correction=0)
                found[start : start + size] = deviations.cpu().numpy()
        return found


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
