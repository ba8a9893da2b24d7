"""The training loop in small named steps, independent of estimators."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..data.labels import Labels
from ..data.source import Reading
from ..distributed.communicator import Communicator
from ..losses import RankingLoss
from ..optim.schedules import Schedule
from .lane_learner import LaneLearner
from .learner import Learner
from .problem import Problem, State
from .settings import Settings
from .snapshot import Snapshot
from .solver import History


class Trainer:
    """One run over a set of rows.

    Parameters
    ----------
    problem : Problem
    state : State
    settings : Settings
    rng : numpy Generator
        Generator that shuffles the rows and seeds dropout.
    keep_optimizers : bool
        Whether a later run will go on from the optimizers' state.
    workers : Communicator or None
        Workers that share the run; None if this process is alone.

    Attributes
    ----------
    history : History
    judged_by : str or None
        Description of the score of the held-out rows.
    ended : bool
        Whether the run has no further epoch.
    learner : Learner
    snapshot : Snapshot
    """

    def __init__(
        self,
        problem: Problem,
        state: State,
        settings: Settings,
        rng: np.random.Generator,
        *,
        keep_optimizers: bool = False,
        workers: Communicator | None = None,
    ) -> None:
        self.network, self.loss = state.network, problem.loss
        self._judge = problem.judge
        self.judged_by = None if self._judge is None else str(self._judge)
        self.source, self.settings, self.rng = problem.source, settings, rng
        self.history = History()
        self._keep_optimizers = keep_optimizers
        self.ended = False
        # Whether the network, and not the snapshot, has the weights to keep.
        self._best_is_live = False
        if state.new_columns is not None:
            self.network.draw_factors(state.new_columns, rng, settings.init_scale)
        made = self.network, self.loss, settings, self.source.mean_length(), rng
        self.learner = (
            Learner(*made) if workers is None else LaneLearner(*made, workers)
        )
        for known in state.optimizers:
            self.learner.load_optimizers(known)
        self.snapshot = Snapshot(self.learner, with_optimizers=keep_optimizers)
        self._feed = self.source.feed(self._reading())
        self._schedule = Schedule(
            settings.learning_rate_schedule, settings.warmup_epochs, settings.max_iter
        )
        # Epochs before the last change of the rates, which needs time to show.
        self._plateau_from = 0

    def _reading(self) -> Reading:
        network, size = self.network, self.settings.batch_size
        longest_query = size
        if isinstance(self.loss, RankingLoss):
            n_slots = network.table.n_fields or self.source.longest()
            longest_query = network.chunk_rows(n_slots) or size
        return Reading(
            self.learner.reader,
            network.prepare,
            size,
            longest_query,
            self.snapshot.n_bytes() if self.settings.max_iter > 1 else 0,
            self.learner.lanes,
        )

    def state(self) -> State:
        """Return the state after the best epoch; call after `finish`."""
        self.learner.gather()
        keep = self._keep_optimizers
        return State(
            self.network,
            optimizers=[self.learner.optimizer_state()] if keep else [],
            history=self.history,
        )

    def advance(self) -> None:
        """Train for an epoch; after the last, return to the weights of the best epoch.

        Raises
        ------
        FloatingPointError
            If the loss became NaN or infinite.
        """
        epoch = len(self.history.loss_curve)
        self._best_is_live = False
        last = epoch + 1 == self.settings.max_iter
        self._record(self._epoch(epoch), last)
        if self._is_best():
            self.history.best_epoch = epoch + 1
            if not last:
                self.snapshot.take()
            self._best_is_live = True
        self.ended = last or self._should_stop()
        if self.ended:
            self.finish()

    def finish(self) -> None:
        """Return to the weights of the best epoch, also after an error."""
        if not self._best_is_live:
            self.snapshot.restore()
            self._best_is_live = self.history.best_epoch > 0
        self.network.eval()

    def progress(self) -> list[int]:
        """Return the position of the run, without its history, for `go_on`."""
        position = self._plateau_from, self._schedule.n_divisions, int(self.ended)
        return [*position, *self.snapshot.n_steps]

    def kept(self) -> list[Tensor]:
        """Return the tensors of the best epoch, if they are not the live ones."""
        return [] if self._best_is_live else self.snapshot.tensors()

    def go_on(self, history: History, progress: list[int], kept: list[Tensor]) -> None:
        """Continue from the position of another run, whose tensors have been loaded."""
        self.history = history
        self._plateau_from, self._schedule.n_divisions, ended, *steps = progress
        self.ended = bool(ended)
        self._best_is_live = bool(history.best_epoch) and not kept
        if self._best_is_live or kept:
            self.snapshot.take()
        if kept:
            self.snapshot.put(kept, (steps[0], steps[1]))

    def _record(self, loss: float, last: bool) -> None:
        """Add an epoch to the history if its loss and weights are finite.

        Weights may be finite, but too large for finite scores. The next epoch or the
        held-out rows show this; after the last epoch, a few training rows are scored.
        """
        table, dense = self.network.table, self.learner.dense_optimizer
        weights = [*table.weight.tensors(), dense.values]
        total = sum(_total(weight) for weight in weights)
        self._check_finite(self.learner.total(total))
        scores = [self.evaluate()] if self.source.has_held_out else []
        if last and not scores:
            self.network.eval()
            scored = self.learner.score(self._feed.first())
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

        An adaptive schedule lowers the learning rates before it stops.
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
        """Pass over the training rows once, and return their mean loss."""
        self.learner.train()
        total, n_rows = 0.0, 0
        n_batches, batches = self._feed.epoch(self.rng, self.settings.n_threads)
        for i, labelled in enumerate(batches):
            done = number + (i + 0.5) / n_batches
            self.learner.scale_rates(self._schedule.factor(done))
            loss, n = self.learner.step(labelled, self._feed.mean_weight)
            self._check_finite(loss)
            total += loss * n
            n_rows += n
        return total / n_rows

    def evaluate(self) -> float:
        """Return the score of the held-out rows: by default minus the mean loss."""
        self.network.eval()
        if self._judge is not None:
            parts = [scores.cpu() for scores, _ in self._scored()]
            raw = torch.cat(parts).double()
            self._check_finite(float(raw.sum()))
            return self._judge(raw.numpy(), self.network)
        if isinstance(self.loss, RankingLoss):
            return self._held_out_metric(self.loss)
        total, weight = 0.0, 0.0
        for labelled in self._feed.held_out(self.settings.n_threads):
            loss, n = self.learner.weighted_loss(labelled)
            total += loss
            weight += n
        return -total / weight

    def _scored(self) -> Iterator[tuple[Tensor, Labels]]:
        """Yield the scores and labels of the held-out rows, batch by batch."""
        for labelled in self._feed.held_out(self.settings.n_threads):
            yield self.learner.score(labelled.batch), labelled.labels

    def _held_out_metric(self, loss: RankingLoss) -> float:
        parts = [(s, labels.target, labels.weight) for s, labels in self._scored()]
        scores, target, weight = (
            torch.cat(part).cpu() for part in zip(*parts, strict=True)
        )
        self._check_finite(float(scores.sum()))
        return loss.validation_score(
            scores.double().numpy(),
            target.numpy(),
            self.source.held_out_query(),
            weight.numpy(),
        )

    def _check_finite(self, number: float) -> None:
        """Raise an error if the loss or the weights are NaN or infinite."""
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
    """Return the sum of weights, which is finite if all of them are."""
    total = float(weight.sum())
    # Summing in float64 takes ten times as long.
    return total if math.isfinite(total) else float(weight.sum(dtype=torch.float64))
