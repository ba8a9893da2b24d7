"""Training steps of several workers, with the same bits for any number of workers.

Each worker learns from some lanes of a batch: see `skfm.distributed.lanes`. A lane has
a replica of the network, with dropout and batch statistics of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.labels import Labelled, Labels
from ..data.transfer import DeviceBatch
from ..distributed.communicator import Communicator
from ..distributed.lanes import Lanes
from ..losses import Loss
from ..nn.layers import Dropout
from ..nn.network import Network
from ..runtime.threads import parallel_for
from ..sparse import Excerpt, Lookup, PooledLookup, Shards
from .lane_sums import LaneSums, in_lane_order
from .learner import Learner
from .replicas import running_statistics
from .settings import Settings

__all__ = ["LaneLearner"]


class LaneLearner(Learner):
    """A learner whose table and batches are divided among workers.

    Parameters
    ----------
    network : Network
        Network that is equal on all workers. Until `gather`, its table has only the
        rows of this worker.
    loss, settings, entries_per_row, rng
        As for `Learner`.
    communicator : Communicator
    """

    lanes: Lanes

    def __init__(
        self,
        network: Network,
        loss: Loss,
        settings: Settings,
        entries_per_row: float,
        rng: np.random.Generator,
        communicator: Communicator,
    ) -> None:
        self._communicator = communicator
        self._shards = Shards(network.table, communicator)
        self.lanes = self._shards.lanes
        self.part, self.writes = self._shards.part, communicator.rank == 0
        network.table = self._shards.own
        self._running = running_statistics(network)
        super().__init__(network, loss, settings, entries_per_row, rng)
        self._statistics = [running_statistics(r.network) for r in self.replicas]
        self._drops = any(isinstance(m, Dropout) and m.rate for m in network.modules())
        l1 = settings.l1_ratio_linear or settings.l1_ratio_factors
        self._needs_shares = bool(l1)

    def _gradients(self, entries_per_row: float) -> list[Tensor]:
        values = self.dense_optimizer.values
        like = torch.cat([values, *(part.flatten() for part in self._running)])
        self._sums = LaneSums(self._communicator, self.lanes, like)
        (self._gradient,) = self.dense_optimizer.gradient_buffers(1)
        return list(self._sums.parts[:, : len(values)])

    def step(self, labelled: Labelled, mean_weight: float) -> tuple[float, int]:
        """Learn from one batch; ``labelled`` holds the rows of this worker."""
        labels, excerpt = labelled.labels, self._fetch(*labelled)
        share = labels.weight / (mean_weight * excerpt.n_rows)
        losses, lookups = self._backward_lanes(excerpt, labels, share)
        loss = sum(in_lane_order(self._communicator, self.lanes, losses).tolist())
        if np.isfinite(loss):
            self._step_shards(excerpt, lookups, share)
            self._step_dense()
        return loss, excerpt.n_rows

    def _fetch(
        self,
        batch: Any,
        labels: Any = None,
        groups: Any = None,
        bounds: np.ndarray | None = None,
    ) -> Excerpt:
        n_threads = self.settings.n_threads
        return self._shards.fetch(batch, groups, bounds, n_threads=n_threads)

    def _backward_lanes(
        self, excerpt: Excerpt, labels: Labels, share: Tensor
    ) -> tuple[np.ndarray, list[Lookup]]:
        """Compute the losses of the lanes and their gradients, a replica for each."""
        bounds = excerpt.bounds.tolist()
        losses, whole = np.zeros(len(self.replicas)), None
        if excerpt.table.pooled:
            # All lanes at once, which is faster: sums of a row do not depend on others.
            whole = excerpt.look_up(excerpt.batch, self.settings.n_threads)
        found: list[list[Lookup]] = [[] for _ in self.replicas]

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                self._begin(i)
                lo, hi = bounds[i], bounds[i + 1]
                lane = excerpt.batch.slice(lo, hi)
                for start, stop in self.network.parts(lane, 1):
                    if isinstance(whole, PooledLookup):
                        lookup: Lookup = whole.rows(lo + start, lo + stop)
                    else:
                        lookup = excerpt.look_up(lane.slice(start, stop))
                    lookup.collect_gradients(frozen=self.settings.freeze)
                    found[i].append(lookup)
                    part = slice(lo + start, lo + stop)
                    own = labels.slice(part.start, part.stop)
                    network = self.replicas[i].network
                    losses[i] += self._part(network, lookup, own, share[part])

        parallel_for(work, len(self.replicas), self.settings.n_threads)
        return losses, [lookup for lookups in found for lookup in lookups]

    def _begin(self, i: int) -> None:
        """Prepare the replica of the i-th lane for a step."""
        replica = self.replicas[i]
        replica.gradient.zero_()
        for own, common in zip(self._statistics[i], self._running, strict=True):
            own.copy_(common)
        if self._drops:
            # A run that is resumed by any number of workers draws the same numbers.
            key = self._seed, self.n_steps[1], self.lanes.first + i
            (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint64)
            replica.generator.manual_seed(int(seed >> np.uint64(1)))

    def _step_shards(
        self, excerpt: Excerpt, lookups: list[Lookup], share: Tensor
    ) -> None:
        table = excerpt.table
        if self._linear_part is not None:
            table = table.linear_part()
        if not table.width:
            return
        # A worker without rows takes part as well.
        lookups = lookups or [excerpt.look_up(excerpt.batch)]
        gradient = self._row_gradient(
            table, excerpt.batch, lookups, share, excerpt.groups
        )
        shares = share.numpy() if self._needs_shares else share.numpy()[:0]
        reduced = self._shards.reduce(excerpt, gradient, shares)
        self._step_table(reduced, excerpt.n_rows)

    def _step_dense(self) -> None:
        """Update dense weights and running statistics equally on all workers."""
        for parts, row in zip(self._statistics, self._sums.parts, strict=True):
            at = len(self._gradient)
            for part in parts:
                row[at : at + part.numel()] = part.flatten()
                at += part.numel()
        total = self._sums.total(self.settings.n_threads)
        at = len(self._gradient)
        self._gradient.copy_(total[:at])
        self.dense_optimizer.step(self.settings.n_threads)
        for part in self._running:
            mean = total[at : at + part.numel()] / self.lanes.n
            part.copy_(mean.view(part.shape))
            at += part.numel()

    def score(self, batch: Batch | DeviceBatch) -> Tensor:
        """Compute the raw scores of a batch that all workers have."""
        excerpt = self._fetch(batch)
        return self.network.score_prepared(
            excerpt.batch, self.settings.n_threads, excerpt.look_up
        )

    def weighted_loss(self, labelled: Labelled) -> tuple[float, float]:
        excerpt, labels = self._fetch(*labelled), labelled.labels
        bounds = excerpt.bounds.tolist()
        sums = np.zeros((len(self.replicas), 2))

        def work(first: int, last: int) -> None:
            for i in range(first, last):
                lo, hi = bounds[i], bounds[i + 1]
                if lo < hi:
                    lane = excerpt.batch.slice(lo, hi)
                    scores = self.network.score_prepared(lane, 1, excerpt.look_up)
                    sums[i] = self._weighted_loss(scores, labels.slice(lo, hi))

        parallel_for(work, len(sums), self.settings.n_threads)
        everywhere = in_lane_order(self._communicator, self.lanes, sums)
        loss, weight = everywhere.sum(axis=0).tolist()
        return loss, weight

    @property
    def reader(self) -> Shards:
        return self._shards

    def total(self, number: float) -> float:
        numbers = self._communicator.gather(np.array([number], float))
        return float(numbers.sum())

    def gather(self) -> None:
        self.network.table = self._shards.whole_table()

    def copy_network(self) -> Network:
        """Raise an error, because this worker does not have all weights.

        Raises
        ------
        RuntimeError
        """
        raise RuntimeError(
            "A callback needs the fitted estimator between two epochs, but no worker "
            "of a group has all weights then. Leave the callback out."
        )

    def origins(self) -> Iterator[Any]:
        yield "lanes", self.lanes.n

    def whole(self, live: Tensor, tensor: Tensor) -> Tensor:
        return self._shards.whole(tensor) if self._is_divided(live) else tensor

    def own(self, live: Tensor, array: np.ndarray) -> np.ndarray:
        return array[self.part] if self._is_divided(live) else array

    def _is_divided(self, live: Tensor) -> bool:
        """Return whether a tensor has a row for each column of this worker."""
        divided = [*self._shards.own.weight.tensors(), *self._table_state()]
        return any(tensor is live for tensor in divided)

    def buffers(self) -> list[Tensor]:
        return list(self.network.buffers())

    def streams(self) -> list[torch.Generator]:
        """Return nothing: the streams start anew in each step."""
        return []
