"""One training step: scores, loss and gradients of a batch, and both optimizers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.labels import Labelled, Labels
from ..data.transfer import DeviceBatch
from ..losses import Loss, RankingLoss
from ..nn.network import Network
from ..optim import OPTIMIZERS, DenseAdam, RowOptimizer
from ..runtime.threads import parallel_for
from ..sparse import EmbeddingTable, Groups, Lookup, ReducedGradient, RowGradient
from .fixed_columns import FixedColumns
from .one_process import OneProcess
from .optimizer_state import OptimizerState
from .replicas import Norms, Replica
from .settings import Settings

#: Work of a part of a batch from which on a thread for it pays: multiplications of the
#: dense layers plus the numbers that are looked up, which cost more.
_WORK_PER_PART = 20_000_000
_WORK_PER_NUMBER = 10
#: Fewest rows of a part: each part has a gradient of all weights.
_ROWS_PER_PART = 512
_MAX_PARTS = 16


class Learner(OneProcess):
    """A network, its loss and its optimizers.

    Parameters
    ----------
    network : Network
        Network, which is trained in place.
    loss : Loss
    settings : Settings
    entries_per_row : float
        Average number of entries of a row, by which the work of a batch is estimated.
    rng : numpy Generator
        Generator of the seed of dropout.

    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        settings: Settings,
        entries_per_row: float,
        rng: np.random.Generator,
    ) -> None:
        self.network, self.loss, self.settings = network, loss, settings
        self.table_optimizer = self._make_table_optimizer()
        self._fixed = FixedColumns(network, self.part)
        # The linear part of the table where its factors are frozen.
        self._linear_part = network.table.linear_part() if settings.freeze else None
        self.dense_optimizer = DenseAdam(
            network.parameters(),
            settings.network_learning_rate,
            settings.alpha,
            settings.clip_norm,
        )
        gradients = self._gradients(entries_per_row)
        # A single draw, so that the order of the rows is the same on all devices.
        self._seed = int(rng.integers(2**62))
        self.replicas = [
            Replica(network, gradient, self._seed + i, fixed_bias=loss.fixes_bias)
            for i, gradient in enumerate(gradients)
        ]
        self._norms = Norms(network, self.replicas)
        self._strengths = self.dense_optimizer.values.new_tensor(
            [
                settings.alpha_linear * (1 - settings.l1_ratio_linear),
                settings.alpha_factors * (1 - settings.l1_ratio_factors),
            ]
        )

    def _gradients(self, entries_per_row: float) -> list[Tensor]:
        """Allocate the gradients of the dense weights, one for each replica."""
        network, settings = self.network, self.settings
        looked_up = entries_per_row * network.table.width * _WORK_PER_NUMBER
        work = settings.batch_size * (network.work_per_row() + looked_up)
        # It depends on the work only, so that the bits do not depend on n_threads.
        n_parts = min(work / _WORK_PER_PART, settings.batch_size / _ROWS_PER_PART)
        n_replicas = min(_MAX_PARTS, max(1, int(n_parts)))
        if not network.table.backend.shares_rows:
            n_replicas = 1
        return self.dense_optimizer.gradient_buffers(n_replicas)

    def _make_table_optimizer(self) -> RowOptimizer:
        settings, name, options = self.settings, self.settings.optimizer, {}
        if settings.momentum:
            name, options = "momentum", {"momentum": settings.momentum}
        return OPTIMIZERS[name](
            self.network.table,
            settings.learning_rate,
            l1_linear=settings.alpha_linear * settings.l1_ratio_linear,
            l1_factors=settings.alpha_factors * settings.l1_ratio_factors,
            clip_norm=settings.clip_norm,
            **options,
        )

    def scale_rates(self, factor: float) -> None:
        """Set the optimizers' learning rates to ``factor`` times those of the start."""
        settings = self.settings
        self.table_optimizer.learning_rate = factor * settings.learning_rate
        self.dense_optimizer.learning_rate = factor * settings.network_learning_rate

    def step(self, labelled: Labelled, mean_weight: float) -> tuple[float, int]:
        """Learn from one batch.

        Parameters
        ----------
        labelled : Labelled
            Batch with labels, on the device of the table. On the CPU, its entries are
            grouped by column.
        mean_weight : float
            Average weight of all training rows.

        Returns
        -------
        loss : float
            Mean weighted loss of the batch before the step. If it is not finite,
            nothing is updated.
        n_rows : int
            Number of rows of the batch.
        """
        batch, labels, groups, _ = labelled
        share = labels.weight / (mean_weight * len(batch))
        loss, lookups = self._backward(labelled, share)
        if np.isfinite(loss):
            table = self._linear_part or self.network.table
            if table.width:
                gradient = self._row_gradient(table, batch, lookups, share, groups)
                self._step_table(gradient, len(batch))
            self.dense_optimizer.step(self.settings.n_threads)
            self._norms.merge()
        return loss, len(batch)

    def _row_gradient(
        self,
        table: EmbeddingTable,
        batch: Batch | DeviceBatch,
        lookups: list[Lookup],
        share: Tensor,
        groups: Groups | None,
    ) -> RowGradient:
        """Return the gradient of a table after the backward pass."""
        gradient = RowGradient.of(
            table,
            batch,
            lookups,
            share[:, None] * self._strengths,
            groups=groups,
            n_threads=self.settings.n_threads,
        )
        gradient.share = share
        return gradient

    def _step_table(self, gradient: RowGradient | ReducedGradient, n_rows: int) -> None:
        """Update the table by the gradient of a batch of ``n_rows`` rows."""
        optimizer = self.table_optimizer
        optimizer.n_rows = float(self.settings.rows_per_step or n_rows)
        if self._linear_part is not None:
            optimizer = optimizer.of_linear_part(self._linear_part)
        rows = [optimizer.table.weight, *optimizer.state]
        with self._fixed.kept(gradient, rows):
            optimizer.step(gradient)
        self.table_optimizer.n_steps = optimizer.n_steps

    def _backward(
        self, labelled: Labelled, share: Tensor
    ) -> tuple[float, list[Lookup]]:
        """Compute the gradients; replica i takes every n-th part from the i-th on."""
        settings, n = self.settings, len(self.replicas)
        table, (batch, labels, *_) = self.network.table, labelled
        parts = self.network.parts(batch, n)
        if labels.queries is not None:
            parts = labels.queries.whole(parts)
        threads = max(1, settings.n_threads // n)
        losses = [0.0] * len(parts)
        lookups: list[Lookup | None] = [None] * len(parts)

        def work(first: int, last: int) -> None:
            for replica in range(first, last):
                self.replicas[replica].gradient.zero_()
                for i in range(replica, len(parts), n):
                    network = self.replicas[replica].network
                    rows = batch.slice(*parts[i])
                    lookup = table.look_up(rows, n_threads=threads)
                    lookups[i] = lookup.collect_gradients(frozen=settings.freeze)
                    own, weight = labels.slice(*parts[i]), share[slice(*parts[i])]
                    losses[i] = self._part(network, lookup, own, weight)

        parallel_for(work, n, settings.n_threads)
        return sum(losses), [lookup for lookup in lookups if lookup is not None]

    def _part(
        self,
        network: Network,
        lookup: Lookup,
        labels: Labels,
        weight: Tensor,
    ) -> float:
        """Compute the weighted loss of some rows, and add its gradients in place."""
        target = labels.target
        known = network.differentiate(lookup, self.loss, target, weight)
        if known is not None:
            return known
        with torch.enable_grad():
            scores = network(lookup)
            if isinstance(self.loss, RankingLoss):
                per_row = self.loss.per_row(scores, target, labels.queries, weight)
            else:
                per_row = self.loss.per_row(scores, target)
            loss = (per_row * weight).sum()
            loss.backward()
        return loss.item()

    def score(self, batch: Batch | DeviceBatch) -> Tensor:
        """Compute the raw scores of a batch, in the mode of evaluation."""
        return self.network.score_prepared(batch, self.settings.n_threads)

    def weighted_loss(self, labelled: Labelled) -> tuple[float, float]:
        """Return the sums of the weighted losses, and of the weights, of rows."""
        return self._weighted_loss(self.score(labelled.batch), labelled.labels)

    def _weighted_loss(self, scores: Tensor, labels: Labels) -> tuple[float, float]:
        per_row = self.loss.per_row(scores, labels.target).cpu().double()
        total = float((per_row * labels.weight.cpu()).sum())
        return total, float(labels.weight.sum())

    def train(self) -> None:
        """Turn on dropout and batch statistics."""
        for replica in self.replicas:
            replica.network.train()

    def state_tensors(self) -> list[Tensor]:
        """Return the optimizers' tensors, which steps change in place."""
        dense = self.dense_optimizer
        return [*self._table_state(), dense.mean, dense.variance]

    def _table_state(self) -> list[Tensor]:
        return [part for rows in self.table_optimizer.state for part in rows.tensors()]

    @property
    def n_steps(self) -> tuple[int, int]:
        """Numbers of steps of the two optimizers."""
        return self.table_optimizer.n_steps, self.dense_optimizer.n_steps

    @n_steps.setter
    def n_steps(self, n_steps: tuple[int, int]) -> None:
        self.table_optimizer.n_steps, self.dense_optimizer.n_steps = n_steps

    def optimizer_state(self) -> OptimizerState:
        """Return the state that a later run on the same network continues from."""
        table, dense = self.table_optimizer, self.dense_optimizer
        return OptimizerState(
            self.settings.optimizer,
            [_to_numpy(self.whole(part, part)) for part in self._table_state()],
            table.n_steps,
            _to_numpy(dense.mean),
            _to_numpy(dense.variance),
            dense.n_steps,
        )

    def load_optimizers(self, state: OptimizerState) -> None:
        """Continue from a copy of an earlier run's `optimizer_state`."""
        same = state.optimizer == self.settings.optimizer
        table, dense = self._table_state(), self.dense_optimizer
        if same and len(state.table_arrays) == len(table):
            _copy([array[self.part] for array in state.table_arrays], table)
            self.table_optimizer.n_steps = state.table_steps
        _copy([state.mean, state.variance], [dense.mean, dense.variance])
        dense.n_steps = state.dense_steps


def _copy(arrays: list[np.ndarray], tensors: list[Tensor]) -> None:
    """Copy arrays, which may be read-only, to tensors."""
    for array, tensor in zip(arrays, tensors, strict=True):
        tensor.copy_(torch.from_numpy(np.require(array, requirements="W")))


def _to_numpy(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
