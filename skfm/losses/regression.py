"""Losses of regressors.

With the raw score s and the target y, there are two kinds:

- `SquaredError`, `AbsoluteError`, `Huber` and `Quantile` have the identity as link. The
  target is standardised before it is learnt.
- `Tweedie` and its special cases `Poisson` and `Gamma` have the logarithm as link. They
  are half the deviance, up to a term of y alone. The target is not standardised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.optimize import brentq

from ..runtime.lazy import F, torch
from .base import ElementwiseLoss, weighted_quantile
from .links import LOG, Link
from .registry import register

if TYPE_CHECKING:
    from torch import Tensor


@register("squared_error", "numbers")
class SquaredError(ElementwiseLoss):
    """Half the squared error, averaged over the outputs."""

    spread: ClassVar[str | None] = "mean"

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (scores - target).square()

    def slopes(
        self, scores: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        error = scores - target.reshape(scores.shape)
        return 0.5 * np.square(error), error

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.atleast_1d(np.average(target, axis=0, weights=weight))


@register("absolute_error", "numbers")
class AbsoluteError(ElementwiseLoss):
    """Absolute error |y - s|, averaged over the outputs."""

    spread: ClassVar[str | None] = "median"

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return (scores - target).abs()

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return weighted_quantile(target.reshape(len(target), -1), weight, 0.5)


@register("huber", "numbers")
class Huber(ElementwiseLoss):
    """Huber loss: (y - s)^2 / 2 up to a distance of epsilon, and linear beyond it.

    Parameters
    ----------
    epsilon : float
        Distance where the linear part begins, in units of the standardised target.
    """

    parameters: ClassVar[tuple[str, ...]] = ("epsilon",)
    spread: ClassVar[str | None] = "median"

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(scores, target, reduction="none", delta=self.epsilon)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        columns = target.reshape(len(target), -1)
        return np.array([self._best_constant(y, weight) for y in columns.T])

    def _best_constant(self, y: np.ndarray, weight: np.ndarray) -> float:
        def slope(constant: float) -> float:
            return float(np.clip(constant - y, -self.epsilon, self.epsilon) @ weight)

        if y.min() == y.max():
            return float(y[0])
        return float(brentq(slope, y.min(), y.max(), xtol=1e-13))


@register("quantile", "numbers")
class Quantile(ElementwiseLoss):
    """Pinball loss: quantile (y - s) for y above s, (1 - quantile) (s - y) below.

    Parameters
    ----------
    quantile : float
        Quantile of the target that is predicted, between 0 and 1.
    """

    parameters: ClassVar[tuple[str, ...]] = ("quantile",)
    spread: ClassVar[str | None] = "median"

    def __init__(self, quantile: float) -> None:
        self.quantile = quantile

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        above = target - scores
        return torch.maximum(self.quantile * above, (self.quantile - 1) * above)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        columns = target.reshape(len(target), -1)
        return weighted_quantile(columns, weight, self.quantile)


@register("tweedie", "numbers")
class Tweedie(ElementwiseLoss):
    """Half the Tweedie deviance with the logarithm as link.

    The loss is exp((2 - p) s) / (2 - p) - y exp((1 - p) s) / (1 - p).

    Parameters
    ----------
    power : float
        Exponent p of the variance mean^p, at least 1: Poisson's is 1 and Gamma's is 2.
        Between them, y has a mass at zero and is continuous above zero. From 2 on, y
        must be above zero.
    """

    parameters: ClassVar[tuple[str, ...]] = ("power",)
    link: ClassVar[Link] = LOG
    positive_only: ClassVar[bool] = True

    def __init__(self, power: float) -> None:
        self.power = power

    def check_target(self, target: np.ndarray) -> None:
        takes_zero = self.power < 2
        bad = target < 0 if takes_zero else target <= 0
        if np.any(bad):
            row, output = (int(index[0]) for index in np.nonzero(bad))
            which = "zero or more" if takes_zero else "above zero"
            raise ValueError(
                f"y must be {which} for {self._name()}, but is {target[row, output]} "
                f"in row {row}."
            )
        if np.any(target.sum(axis=0) == 0):
            raise ValueError(
                f"y is zero in every row, but {self._name()} needs a mean above zero."
            )

    def _name(self) -> str:
        return f"loss='tweedie' with power={self.power}"

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        mean_part = _power(scores, 2 - self.power)
        return mean_part - target * _power(scores, 1 - self.power)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        mean = np.atleast_1d(np.average(target, axis=0, weights=weight))
        # y may be zero in all rows of positive weight, though not in the others.
        return np.log(np.maximum(mean, np.finfo(np.float64).eps))


@register("poisson", "numbers")
class Poisson(Tweedie):
    """Half the Poisson deviance of counts, exp(s) - y s: `Tweedie` of power 1."""

    parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__(1)

    def _name(self) -> str:
        return "loss='poisson'"


@register("gamma", "numbers")
class Gamma(Tweedie):
    """Half the gamma deviance of amounts, s + y exp(-s): `Tweedie` of power 2."""

    parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__(2)

    def _name(self) -> str:
        return "loss='gamma'"


def _power(scores: Tensor, p: float) -> Tensor:
    """Compute exp(p s) / p; where p is zero, its limit up to a constant."""
    return scores if p == 0 else (p * scores).exp() / p
