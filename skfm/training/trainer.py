"""The training loop, in small named steps. It knows no estimator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.batch import PREDICTION_BATCH, Batch, batch_bounds
from ..data.rows import Rows
from ..data.sampler import QueryShuffle, RowShuffle, Shuffle
from ..data.transfer import DeviceBatch
from ..losses import Loss, RankingLoss
from ..nn.network import Network
from ..optim.schedules import Schedule
from ..runtime.threads import team, torch_threads
from .learner import Learner, OptimizerState, Settings
from .loader import Feed


class Monitor(Protocol):
    """Who watches a fit: called around every epoch."""

    def begin_epoch(self) -> None:
        """An epoch starts."""

    def end_epoch(self, trainer: Trainer) -> bool:
        """An epoch has ended; True stops the training."""


class Keeper(Protocol):
    """Who keeps the state of a run on disk: see `skfm.training.checkpoints`."""

    def resume(self, trainer: Trainer) -> None:
        """Before the first epoch: go on from what was kept, if anything was."""

    def save(self, trainer: Trainer) -> None:
        """After an epoch that is followed by another."""

    def remove(self) -> None:
        """After the last epoch."""


@dataclass
class History:
    """What happened so far, an element per epoch.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss, without penalty, as the epoch went.
    validation_scores : list of float
        Minus the mean loss on the validation rows after the epoch, or their mean NDCG.
    best_epoch : int
        Epochs of this run behind the weights that are kept.
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_epoch: int = 0


class Snapshot:
    """What training changes in place, to go back to.

    Parameters
    ----------
    learner : Learner
    with_optimizers : bool
        Whether to remember the optimizers' state too.
    """

    def __init__(self, learner: Learner, *, with_optimizers: bool) -> None:
        self._learner = learner
        network = learner.network
        self._live = [
            *network.table.weight.tensors(),
            learner.dense_optimizer.values,
            *network.buffers(),
        ]
        if with_optimizers:
            self._live += learner.state_tensors()
        self._saved: list[Tensor] | None = None
        self.n_steps = learner.n_steps

    def n_bytes(self) -> int:
        """Memory that remembering takes."""
        return sum(tensor.nbytes for tensor in self._live)

    def tensors(self) -> list[Tensor]:
        """What is remembered; nothing at first."""
        return self._saved or []

    def put(self, tensors: list[Tensor], n_steps: tuple[int, int]) -> None:
        """Remember this instead of what was taken."""
        self.n_steps = n_steps
        for saved, tensor in zip(self.tensors(), tensors, strict=True):
            saved.copy_(tensor)

    def take(self) -> None:
        """Remember everything as it is."""
        self.n_steps = self._learner.n_steps
        if self._saved is None:
            self._saved = [torch.empty_like(live) for live in self._live]
        for saved, live in zip(self._saved, self._live, strict=True):
            saved.copy_(live)

    def restore(self) -> None:
        """Go back to what was remembered, if anything was."""
        if self._saved is None:
            return
        self._learner.n_steps = self.n_steps
        for saved, live in zip(self._saved, self._live, strict=True):
            live.copy_(saved)


class Trainer:
    """One run over a set of rows.

    Parameters
    ----------
    network : Network
        Initialised; trained in place.
    loss : Loss
    rows : Rows
        With target and weight.
    train : ndarray of int
        The rows to learn from.
    validation : (Rows, ndarray of int) or None
        The rows to stop early on.
    settings : Settings
    rng : numpy Generator
        Shuffles the rows.
    resume : bool
        Whether the network has been trained before: interrupted in its first epoch,
        the run then puts everything back.
    keep_optimizers : bool
        Whether a later run will go on from the optimizers' state.
    optimizer_state : OptimizerState or None
        Of the earlier run, to go on from.
    checkpoint : Keeper or None
        Keeps the run's state on disk.

    Attributes
    ----------
    history : History
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        rows: Rows,
        train: np.ndarray,
        validation: tuple[Rows, np.ndarray] | None,
        settings: Settings,
        rng: np.random.Generator,
        *,
        resume: bool = False,
        keep_optimizers: bool = False,
        optimizer_state: OptimizerState | None = None,
        checkpoint: Keeper | None = None,
    ) -> None:
        self.network, self.loss, self.settings, self.rng = network, loss, settings, rng
        self.rows, self.train, self.validation = rows, train, validation
        self.history = History()
        self.checkpoint = checkpoint
        # Whether the network has the weights to keep, rather than the snapshot.
        self._best_is_live = False
        self.learner = Learner(network, loss, settings, rows.mean_length(), rng)
        if optimizer_state is not None:
            self.learner.load_optimizers(optimizer_state)
        self._snapshot = Snapshot(self.learner, with_optimizers=keep_optimizers)
        if resume:
            self._snapshot.take()
        reserved = self._snapshot.n_bytes() if settings.max_iter > 1 else 0
        self._feed = self._validation_feed = Feed(network, rows, reserved)
        if validation is not None and validation[0] is not rows:
            self._validation_feed = Feed(network, validation[0], reserved)
        assert rows.weight is not None
        self._shuffle = self._make_shuffle()
        self._schedule = Schedule(
            settings.learning_rate_schedule, settings.warmup_epochs, settings.max_iter
        )
        # Epochs before the last change of rates, which is given time to show.
        self._plateau_from = 0
        learnt = torch.from_numpy(self._shuffle.rows)
        self._mean_weight = float(rows.weight[learnt].mean())

    def run(self, monitor: Monitor) -> None:
        """Train, then go back to the best epoch's weights.

        Raises
        ------
        FloatingPointError
            If the loss became NaN or infinite. After this, as after an interruption,
            the network is as it was at the end of the last full (or best) epoch.
        """
        if self.checkpoint is not None:
            self.checkpoint.resume(self)
        try:
            with torch_threads(1), team(self.settings.n_threads):
                self._run_epochs(monitor)
        finally:
            if not self._best_is_live:
                self._snapshot.restore()
            self.network.eval()
        if self.checkpoint is not None:
            self.checkpoint.remove()

    def _run_epochs(self, monitor: Monitor) -> None:
        for epoch in range(len(self.history.loss_curve), self.settings.max_iter):
            monitor.begin_epoch()
            self._best_is_live = False
            last = epoch + 1 == self.settings.max_iter
            self._record(self._epoch(epoch), last)
            if self._is_best():
                self.history.best_epoch = epoch + 1
                if not last:
                    self._snapshot.take()
                self._best_is_live = True
            if monitor.end_epoch(self) or self._should_stop():
                return
            if self.checkpoint is not None and not last:
                self.checkpoint.save(self)

    def progress(self) -> list[int]:
        """How far the run is, beside its history: what `go_on` takes."""
        steps = self._snapshot.n_steps
        return [self._plateau_from, self._schedule.n_divisions, *steps]

    def kept(self) -> list[Tensor]:
        """The best epoch's tensors, where they are not those that training changes."""
        return [] if self._best_is_live else self._snapshot.tensors()

    def go_on(self, history: History, progress: list[int], kept: list[Tensor]) -> None:
        """Be where another run was, whose tensors and steps this one has already."""
        self.history = history
        self._plateau_from, self._schedule.n_divisions, *steps = progress
        self._best_is_live = bool(history.best_epoch) and not kept
        if self._best_is_live or kept:
            self._snapshot.take()
        if kept:
            self._snapshot.put(kept, (steps[0], steps[1]))

    def _record(self, loss: float, last: bool) -> None:
        """Add an epoch to the history, if what it left is finite.

        Weights may be finite but too large to compute with. The next epoch, or the
        held-out rows, would tell; after the last epoch a few training rows do.
        """
        table, dense = self.network.table, self.learner.dense_optimizer
        weights = [*table.weight.tensors(), dense.values]
        self._check_finite(sum(_total(weight) for weight in weights))
        scores = [] if self.validation is None else [-self.evaluate()]
        if last and not scores:
            few = self._feed.take(self.train[:PREDICTION_BATCH])
            self.network.eval()
            scored = self.network.score_prepared(few, self.settings.n_threads)
            self._check_finite(float(scored.sum()))
        for score in scores:
            self._check_finite(score)
        self.history.loss_curve.append(loss)
        self.history.validation_scores.extend(scores)

    def _is_best(self) -> bool:
        """Whether the last epoch's weights are the ones to keep."""
        scores = self.history.validation_scores
        if not self.settings.early_stopping or len(scores) < 2:
            return True
        return scores[-1] > max(scores[:-1])

    def _should_stop(self) -> bool:
        """Whether the last ``n_iter_no_change`` epochs brought less than ``tol``.

        An adaptive schedule then first lowers the learning rates.
        """
        history, settings = self.history, self.settings
        scores = history.validation_scores
        if settings.learning_rate_schedule == "adaptive" and not scores:
            scores = [-loss for loss in history.loss_curve]
        elif not settings.early_stopping:
            return False
        patience = settings.n_iter_no_change
        if len(scores) - max(1, self._plateau_from) < patience:
            return False
        if max(scores[-patience:]) > max(scores[:-patience]) + settings.tol:
            return False
        self._plateau_from = len(scores)
        return not self._schedule.goes_on()

    def _epoch(self, number: int) -> float:
        """One pass over the training rows; their mean loss."""
        self.learner.train()
        total, n_rows = 0.0, 0
        draws = self._shuffle.epoch(self.rng)
        batches = self._feed.batches(draws, self.settings.n_threads)
        for i, (batch, groups) in enumerate(batches):
            done = number + (i + 0.5) / len(draws)
            self.learner.scale_rates(self._schedule.factor(done))
            loss = self.learner.step(batch, groups, self._mean_weight)
            self._check_finite(loss)
            total += loss * len(batch)
            n_rows += len(batch)
        return total / n_rows

    def evaluate(self) -> float:
        """Mean weighted loss on the validation rows; if ranked, minus their NDCG."""
        assert self.validation is not None
        rows, chosen = self.validation
        self.network.eval()
        if isinstance(self.loss, RankingLoss):
            return -self._validation_ndcg(self.loss, rows, chosen)
        total, weight = 0.0, 0.0
        for batch, scores in self._scored(chosen):
            assert batch.target is not None
            assert batch.weight is not None
            per_row = self.loss.per_row(scores, batch.target).cpu().double()
            total += float((per_row * batch.weight.cpu()).sum())
            weight += float(batch.weight.sum())
        return total / weight

    def _scored(
        self, chosen: np.ndarray
    ) -> Iterator[tuple[Batch | DeviceBatch, Tensor]]:
        """Validation rows and their scores, batch by batch."""
        n_threads = self.settings.n_threads
        for lo, hi in batch_bounds(len(chosen), PREDICTION_BATCH):
            batch = self._validation_feed.take(chosen[lo:hi], n_threads)
            yield batch, self.network.score_prepared(batch, n_threads)

    def _validation_ndcg(
        self, loss: RankingLoss, rows: Rows, chosen: np.ndarray
    ) -> float:
        assert rows.query is not None
        assert rows.target is not None
        assert rows.weight is not None
        scores = torch.cat([scores for _, scores in self._scored(chosen)])
        self._check_finite(float(scores.sum()))
        picked = torch.from_numpy(chosen)
        return loss.validation_score(
            scores.cpu().double().numpy(),
            rows.target[picked].numpy(),
            rows.query[chosen],
            rows.weight[picked].numpy(),
        )

    def _make_shuffle(self) -> Shuffle:
        size = self.settings.batch_size
        if self.rows.query is None:
            return RowShuffle(self.train, size)
        assert self.rows.target is not None
        if self.validation is not None and isinstance(self.loss, RankingLoss):
            rows, chosen = self.validation
            assert rows.target is not None
            self.loss.check_held_out(rows.target[torch.from_numpy(chosen)])
        n_slots = self.network.table.n_fields or self.rows.longest()
        return QueryShuffle(
            self.train,
            self.rows.query,
            self.rows.target.numpy(),
            size,
            self.network.chunk_rows(n_slots) or size,
        )

    def _check_finite(self, number: float) -> None:
        """Refuse to go on from a loss, or with weights, that are NaN or infinite."""
        if math.isfinite(number):
            return
        raise FloatingPointError(
            f"training diverged (NaN or infinite loss or weights) in epoch "
            f"{len(self.history.loss_curve) + 1}: lower learning_rate "
            f"(={self.settings.learning_rate}) or network_learning_rate "
            f"(={self.settings.network_learning_rate}), or scale numeric columns to "
            "about unit size"
        )


def _total(weight: Tensor) -> float:
    """Sum of weights: finite unless one of them is not."""
    total = float(weight.sum())
    # Summing in float64 takes ten times as long.
    return total if math.isfinite(total) else float(weight.sum(dtype=torch.float64))
