"""The training loop, in small named steps. It knows no estimator."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..data.batch import PREDICTION_BATCH, Batch, batch_bounds
from ..data.loader import Feed
from ..data.rows import Rows
from ..data.sampler import QueryShuffle, RowShuffle, Shuffle
from ..data.transfer import DeviceBatch
from ..losses import Loss, RankingLoss
from ..nn.network import Network
from ..optim.schedules import Schedule
from ..runtime.threads import team, torch_threads
from .learner import Learner, Settings
from .optimizer_state import OptimizerState
from .snapshot import Snapshot
from .solver import History, Monitor, Progress


@dataclass(frozen=True)
class Problem:
    """Rows and a loss.

    Attributes
    ----------
    loss : Loss
    rows : Rows
        With target and weight.
    train : ndarray of int
        The rows to learn from.
    validation : (Rows, ndarray of int) or None
        The rows to stop early on.
    """

    loss: Loss
    rows: Rows
    train: np.ndarray
    validation: tuple[Rows, np.ndarray] | None = None


@dataclass(frozen=True)
class State:
    """A network, trained or about to be.

    Attributes
    ----------
    network : Network
        Trained in place.
    trained : bool
        Whether it has been trained before: a run that fails in its first epoch then
        puts everything back.
    new_columns : ndarray of bool of shape (n_columns,), or None
        Columns of a trained network whose factors are still to be drawn.
    optimizers : OptimizerState or None
        State of the optimizers of the earlier run, to go on from.
    history : History
    """

    network: Network
    trained: bool = False
    new_columns: np.ndarray | None = None
    optimizers: OptimizerState | None = None
    history: History = field(default_factory=History)


class Trainer:
    """One run over a set of rows.

    Parameters
    ----------
    problem : Problem
    state : State
    settings : Settings
    rng : numpy Generator
        Shuffles the rows and seeds dropout.
    keep_optimizers : bool
        Whether a later run will go on from the optimizers' state.

    Attributes
    ----------
    history : History
    """

    def __init__(
        self,
        problem: Problem,
        state: State,
        settings: Settings,
        rng: np.random.Generator,
        *,
        keep_optimizers: bool = False,
    ) -> None:
        self.network, self.loss = state.network, problem.loss
        self.rows, self.train = problem.rows, problem.train
        self.validation = problem.validation
        self.settings, self.rng = settings, rng
        self.history = History()
        self._keep_optimizers = keep_optimizers
        # Whether the network has the weights to keep, rather than the snapshot.
        self._best_is_live = False
        self.learner = Learner(
            self.network, self.loss, settings, self.rows.mean_length(), rng
        )
        if state.optimizers is not None:
            self.learner.load_optimizers(state.optimizers)
        self._snapshot = Snapshot(self.learner, with_optimizers=keep_optimizers)
        if state.trained:
            self._snapshot.take()
        if state.new_columns is not None:
            self.network.draw_factors(state.new_columns, rng, settings.init_scale)
        reserved = self._snapshot.n_bytes() if settings.max_iter > 1 else 0
        self._feed = self._validation_feed = self._make_feed(self.rows, reserved)
        if self.validation is not None and self.validation[0] is not self.rows:
            self._validation_feed = self._make_feed(self.validation[0], reserved)
        assert self.rows.weight is not None
        self._shuffle = self._make_shuffle()
        self._schedule = Schedule(
            settings.learning_rate_schedule, settings.warmup_epochs, settings.max_iter
        )
        # Epochs before the last change of rates, which is given time to show.
        self._plateau_from = 0
        learnt = torch.from_numpy(self._shuffle.rows)
        self._mean_weight = float(self.rows.weight[learnt].mean())

    def _make_feed(self, rows: Rows, reserved: int) -> Feed:
        return Feed(rows, self.network.prepare, self.network.table, reserved)

    def state(self) -> State:
        """Return the state after the best epoch; call after `run`."""
        keep = self._keep_optimizers
        return State(
            self.network,
            trained=True,
            optimizers=self.learner.optimizer_state() if keep else None,
            history=self.history,
        )

    def _progress(self) -> Progress:
        return Progress(
            self.history,
            self.settings.max_iter,
            len(self.train),
            lambda: {"network_": copy.deepcopy(self.network)},
        )

    def run(self, monitor: Monitor, save: Callable[[], None] = lambda: None) -> None:
        """Train, then go back to the best epoch's weights.

        Parameters
        ----------
        monitor : Monitor
        save : callable
            Called after an epoch that is followed by another.

        Raises
        ------
        FloatingPointError
            If the loss became NaN or infinite. After this, as after an interruption,
            the network is as it was at the end of the last full (or best) epoch.
        """
        try:
            with torch_threads(1), team(self.settings.n_threads):
                self._run_epochs(monitor, save)
        finally:
            if not self._best_is_live:
                self._snapshot.restore()
            self.network.eval()

    def _run_epochs(self, monitor: Monitor, save: Callable[[], None]) -> None:
        for epoch in range(len(self.history.loss_curve), self.settings.max_iter):
            monitor.begin_iteration()
            self._best_is_live = False
            last = epoch + 1 == self.settings.max_iter
            self._record(self._epoch(epoch), last)
            if self._is_best():
                self.history.best_epoch = epoch + 1
                if not last:
                    self._snapshot.take()
                self._best_is_live = True
            if monitor.end_iteration(self._progress()) or self._should_stop():
                return
            if not last:
                save()

    def progress(self) -> list[int]:
        """Return the position of the run beside its history, as `go_on` takes it."""
        steps = self._snapshot.n_steps
        return [self._plateau_from, self._schedule.n_divisions, *steps]

    def kept(self) -> list[Tensor]:
        """Return the best epoch's tensors, if kept apart from the live ones."""
        return [] if self._best_is_live else self._snapshot.tensors()

    def go_on(self, history: History, progress: list[int], kept: list[Tensor]) -> None:
        """Take the position of another run whose tensors are loaded already."""
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
        """Return whether the last epoch's weights are the best so far."""
        scores = self.history.validation_scores
        if not self.settings.early_stopping or len(scores) < 2:
            return True
        return scores[-1] > max(scores[:-1])

    def _should_stop(self) -> bool:
        """Return whether the last ``n_iter_no_change`` epochs gained less than ``tol``.

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
        """Make a pass over the training rows, and return their mean loss."""
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
        """Return the mean weighted loss on the validation rows, or minus their NDCG."""
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
    """Sum weights; the sum is finite unless one of them is not."""
    total = float(weight.sum())
    # Summing in float64 takes ten times as long.
    return total if math.isfinite(total) else float(weight.sum(dtype=torch.float64))
