"""Scores of pairs under the samples of a posterior."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..data.rows import Rows
from ..nn.posterior import PosteriorNetwork
from .lookups import look_up, summed_embeddings
from .mean_odds import add_odds, far

#: Scores of one sample at a time, which stay in the cache.
_SCORES_PER_TILE = 1 << 16


@dataclass(frozen=True)
class SampleScores:
    """Scores under the samples of a posterior, each a matrix product.

    Attributes
    ----------
    left, right : Tensor of shape (S, n_users, d) and (S, n_items, d)
        Vectors whose inner products are the scores of pairs, see `ProductScores`.
    drawn : ndarray of shape (n_users,) or None
        The sample that scores each user. None: scores are the log odds of the mean
        probability over the samples of a classifier.
    """

    left: Tensor
    right: Tensor
    drawn: np.ndarray | None = None
    threaded = True

    @classmethod
    def of(cls, network: PosteriorNetwork, users: Rows, items: Rows) -> SampleScores:
        """Return the scores of the samples of a network with one output."""
        n_samples = network.shape.n_samples
        with torch.no_grad():
            vectors = [
                torch.from_numpy(summed_embeddings(network, rows) * n_samples**0.5)
                .view(len(rows), n_samples, -1)
                .transpose(0, 1)
                for rows in (users, items)
            ]
            own = [
                network.sample_scores(look_up(network, rows)).transpose(0, 1)
                for rows in (users, items)
            ]
            constant = (network.offsets + network.bias)[:, None]
            ones = [torch.ones_like(scores) for scores in own]
            left = torch.cat([vectors[0], ones[0], own[0]], dim=2)
            right = torch.cat([vectors[1], own[1] - constant, ones[1]], dim=2)
            # Products with rows of (S, d, n_items) are faster than with its columns.
            return cls(left, right.transpose(1, 2).contiguous().transpose(1, 2))

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
                return self._log_odds(start, stop)
            out = self.left.new_empty(stop - start, self.shape[1])
            drawn = self.drawn[start:stop]
            for sample in np.unique(drawn).tolist():
                rows = torch.from_numpy(np.flatnonzero(drawn == sample))
                left = self.left[sample, rows + start]
                out[rows] = left @ self.right[sample].T
            return out.numpy()

    def _log_odds(self, start: int, stop: int) -> np.ndarray:
        n_items = self.shape[1]
        out = np.empty((stop - start, n_items), self.left.numpy().dtype)
        width = max(1, _SCORES_PER_TILE // (stop - start))
        limit = out.dtype.type(far(out.dtype))
        for first in range(0, n_items, width):
            right = self.right[:, first : first + width]
            scores = self.left.new_empty(stop - start, right.shape[1])
            positive, negative = np.zeros((2, *scores.shape), out.dtype)
            for one, other in zip(self.left[:, start:stop], right, strict=True):
                torch.mm(one, other.T, out=scores)
                add_odds(scores.numpy(), limit, positive, negative)
            out[:, first : first + width] = np.log(positive / negative)
        return out

    def deviations(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Compute the standard deviation of the scores of some pairs."""
        found = np.empty(len(users))
        size = max(1, (1 << 22) // self.left[:, 0].numel())
        with torch.no_grad():
            for start in range(0, len(users), size):
                u = torch.from_numpy(users[start : start + size])
                i = torch.from_numpy(items[start : start + size])
                scores = (self.left[:, u] * self.right[:, i]).sum(dim=2)
                deviations = scores.double().std(dim=0, correction=0)
                found[start : start + size] = deviations.numpy()
        return found
