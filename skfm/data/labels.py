"""Targets and weights of rows, and batches that have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..runtime.lazy import torch
from .batch import Batch
from .queries import Queries

if TYPE_CHECKING:
    from torch import Tensor

    from .transfer import DeviceBatch


@dataclass(slots=True)
class Labels:
    """Targets and weights of the rows of a batch, or of all rows of a matrix.

    Attributes
    ----------
    target : Tensor of shape (n_rows,) or (n_rows, n_outputs)
    weight : Tensor of shape (n_rows,)
    queries : Queries or None
        Queries of the rows, for a ranker.
    """

    target: Tensor
    weight: Tensor
    queries: Queries | None = None

    def slice(self, start: int, stop: int) -> Labels:
        """Return the labels of rows ``start`` to ``stop``, which cut no query."""
        queries = self.queries
        return Labels(
            self.target[start:stop],
            self.weight[start:stop],
            None if queries is None else queries.slice(start, stop),
        )

    def take(self, rows: np.ndarray, queries: Queries | None = None) -> Labels:
        """Return the labels of any rows, which are those of ``queries``."""
        picked = torch.from_numpy(rows)
        target, weight = (
            part.index_select(0, picked) for part in (self.target, self.weight)
        )
        return Labels(target, weight, queries)

    def n_bytes(self) -> int:
        """Return the memory that targets and weights take, in bytes."""
        return self.target.nbytes + self.weight.nbytes


class Labelled(NamedTuple):
    """A batch with its labels, where the reader of the batch wants them.

    Attributes
    ----------
    batch : Batch or DeviceBatch
    labels : Labels
    groups : Any
        The batch's entries, grouped as the reader wants them; None otherwise.
    bounds : ndarray of int or None
        Where several processes learn from a batch, the bounds between the lanes of
        this one's rows: see `skfm.distributed.lanes`.
    """

    batch: Batch | DeviceBatch
    labels: Labels
    groups: Any = None
    bounds: np.ndarray | None = None
