"""A look back at the end of a fit: is the model better than a constant?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.batch import PREDICTION_BATCH
from ..data.source import RowSource
from ..exceptions import WorseThanConstantWarning
from ..losses import Loss, RankingLoss
from ..runtime.threads import resolve_n_jobs
from ..runtime.warnings import warn
from .optimization import OptimizationParameters
from .params import given_or_default
from .scoring import score_batch

#: Rows that are compared at most, and at least: one row in five would be chance.
_MANY, _FEW = PREDICTION_BATCH, 20
#: A model is worse than a constant where its loss is larger by this share and by this
#: many standard errors of the mean difference. On targets of pure noise the best of the
#: epochs is up to a quarter above the constant (up to 0.6 where few rows are held out,
#: within three standard errors), which is no fault.
_SHARE, _ERRORS = 0.5, 4.0
#: Twice the constant's loss and more is no chance, even where few rows cause it all,
#: whose number a standard error takes for noise.
_SURE = 1.0
#: Training rows below which their number is named as a likely cause.
_FEW_TO_LEARN = 1000


@dataclass(frozen=True)
class Examined:
    """Rows on which a fitted model is compared with a constant.

    Attributes
    ----------
    sample : callable
        Returns a batch of at most so many rows, always the same ones, with their
        targets and weights. They are held-out rows if there are any.
    n_rows : int
        Number of training rows.
    held_out : bool
        Whether there are held-out rows.
    baseline : ndarray of shape (n_outputs,)
        Scores of the best constant, by the training rows.
    loss : Loss
        Loss of the scores.
    """

    sample: Callable[[int], tuple[Any, np.ndarray, np.ndarray]]
    n_rows: int
    held_out: bool
    baseline: np.ndarray
    loss: Loss

    @classmethod
    def of(cls, source: RowSource, baseline: np.ndarray, loss: Loss) -> Examined:
        """Examine rows of a source."""

        def sample(n_rows: int) -> tuple[Any, np.ndarray, np.ndarray]:
            batch, labels, *_ = source.sample(n_rows)
            return batch, labels.target.numpy(), labels.weight.numpy()

        return cls(sample, source.n_rows, source.has_held_out, baseline, loss)


@dataclass(frozen=True)
class Comparison:
    """Losses of a model and of a constant on the same rows.

    Attributes
    ----------
    model, constant : float
        Weighted mean losses.
    size : float
        Weighted mean of the absolute losses of the constant, which may be of any sign.
    error : float
        Standard error of the difference of the means.
    """

    model: float
    constant: float
    size: float
    error: float

    @classmethod
    def of(
        cls, model: np.ndarray, constant: np.ndarray, weight: np.ndarray
    ) -> Comparison:
        """Compare the losses of rows, all arguments of shape (n,)."""
        share = weight / weight.sum()
        with np.errstate(over="ignore", invalid="ignore"):
            difference = model - constant
            apart = difference - share @ difference
            error = np.sqrt(np.square(share) @ np.square(apart))
        return cls(
            float(share @ model),
            float(share @ constant),
            float(share @ np.abs(constant)),
            float(error),
        )

    @property
    def worse(self) -> bool:
        """Return whether the loss of the model is larger than noise explains."""
        excess = self.model - self.constant
        if not np.isfinite(excess):
            return bool(np.isfinite(self.constant))
        clear = excess > max(_SHARE * self.size, _ERRORS * self.error)
        return self.size > 0 and (clear or excess > _SURE * self.size)


def warn_if_worse(model: Any, examined: Examined) -> None:
    """Warn of a fitted estimator whose loss is above that of the best constant.

    At most `PREDICTION_BATCH` rows are scored, always the same ones of the same data.

    Parameters
    ----------
    model : estimator
        Model with any loss except that of a ranker, which has no constant.
    examined : Examined
    """
    if isinstance(examined.loss, RankingLoss):
        return
    found = _compare(model, examined)
    if found is None or not found.worse:
        return
    kind = "held-out" if examined.held_out else "training"
    warn(
        f"{type(model).__name__} is worse than a constant: its mean loss on the {kind} "
        f"rows is {found.model:.3g}, that of the best constant {found.constant:.3g}. "
        f"{_cause(model, examined)}",
        WorseThanConstantWarning,
    )


def _compare(model: Any, examined: Examined) -> Comparison | None:
    """Score a sample of the rows; None where there are too few."""
    loss = examined.loss
    batch, target, weight = examined.sample(_MANY)
    if len(batch) < _FEW:
        return None
    network = model._scorer
    if network.shape.n_members > 1 and examined.held_out:
        # The first one's held-out rows, which all others have learnt from.
        network = network.member(0)
    scores = score_batch(network, batch, resolve_n_jobs(model.n_jobs))
    constant = np.broadcast_to(examined.baseline, scores.shape)
    return Comparison.of(
        loss.host_per_row(scores, target),
        loss.host_per_row(constant, target),
        weight.astype(np.float64),
    )


def _cause(model: Any, examined: Examined) -> str:
    """Name the likely causes, with what to do about each."""
    causes = []
    if examined.n_rows < _FEW_TO_LEARN:
        causes.append(f"only {examined.n_rows} rows to learn from")
    if getattr(model, "solver_", "sgd") == "sgd":
        rate = given_or_default(model, OptimizationParameters, "learning_rate")
        causes.append(f"a learning rate that is too high (learning_rate={rate!r})")
    if examined.held_out:
        causes.append("held-out rows unlike the training rows")
    else:
        causes.append("training that ended too early (max_iter)")
    return f"Likely causes: {'; '.join(causes)}."
