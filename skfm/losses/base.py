"""The interface of losses, and losses that users write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.optimize import minimize

from ..runtime.lazy import torch
from .links import IDENTITY, Link

if TYPE_CHECKING:
    from torch import Tensor


class Loss:
    """Base class of losses of raw scores of shape (B, C).

    Attributes
    ----------
    parameters : tuple of str
        Names of the constructor's parameters: hyper-parameters of the estimator, or
        ``n_outputs``.
    link : Link
        Function from raw scores to predictions.
    target_dtype : {"float", "int"}
        Type of the targets: numbers of the network's dtype, or class numbers.
    spread : {"mean", "median"} or None
        Standardisation of a regressor's target before it is learnt: by mean and
        standard deviation, by median and median absolute deviation, or none.
    positive_only : bool
        Whether targets must be zero or more.
    fixes_bias : bool
        Whether the bias stays zero, because only differences of scores matter.
    """

    parameters: ClassVar[tuple[str, ...]] = ()
    link: ClassVar[Link] = IDENTITY
    target_dtype: ClassVar[str] = "float"
    spread: ClassVar[str | None] = None
    positive_only: ClassVar[bool] = False
    fixes_bias: ClassVar[bool] = False

    def check_target(self, target: np.ndarray) -> None:
        """Raise an error for targets (n, C) for which the loss is not defined.

        Raises
        ------
        ValueError
            If there is such a target; the message names the first row.
        """

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row, shape (B,)."""
        raise AssertionError("defined by each loss")

    def slopes(
        self, scores: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Compute the loss of each score, and its derivative by the score.

        Parameters
        ----------
        scores : ndarray of shape (B,) or (B, C)
        target : ndarray of shape (B, ...)
            As `per_row` takes it.

        Returns
        -------
        losses, slopes : ndarray of the shape of scores
            Or None, where autograd is to differentiate `per_row`.
        """
        return None

    def host_per_row(self, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Compute the loss of each row from arrays of float64, shape (B,).

        Losses that the Bayesian solver knows do so without torch.
        """
        with torch.no_grad():
            given = torch.from_numpy(np.ascontiguousarray(scores))
            values = self.per_row(given, as_target(self, target, torch.float64))
            return values.double().numpy()

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Compute the best constant scores, shape (C,), from which the bias starts."""
        raise AssertionError("defined by each loss")

    def cautious(self, baseline: np.ndarray, n_rows: int) -> np.ndarray:
        """Limit a baseline of the first ``n_rows`` rows of a stream.

        A class of which they have none is not impossible.
        """
        return baseline


class ElementwiseLoss(Loss):
    """Base class of losses that are the mean of a loss of each output."""

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each row and output; scores and targets are (B, C)."""
        raise AssertionError("defined by each loss")

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        return self.elements(scores, target.reshape(scores.shape)).mean(dim=1)

    def host_per_row(self, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
        found = self.slopes(scores, target)
        if found is None:
            return super().host_per_row(scores, target)
        losses: np.ndarray = found[0].mean(axis=1)
        return losses


class CallableLoss(Loss):
    """A loss that is computed by a user's function; its link is the identity.

    Parameters
    ----------
    function : callable
        ``function(scores, target)`` takes tensors of shape (B, C) and (B,) or (B, C)
        and returns the loss of each row as a tensor of shape (B,), by operations that
        torch can differentiate.
    n_outputs : int
        Number C of raw scores per row.
    target_dtype : {"float", "int"}
        Type of the targets, as in `Loss`.
    """

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor],
        n_outputs: int,
        target_dtype: str = "float",
    ) -> None:
        self.function, self.n_outputs = function, n_outputs
        self.target_dtype = target_dtype  # type: ignore[misc]

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        values = self.function(scores, target)
        is_tensor = isinstance(values, torch.Tensor)
        if not is_tensor or values.shape != scores.shape[:1]:
            got = tuple(values.shape) if is_tensor else type(values)
            raise ValueError(
                f"loss={self.function!r} must return a tensor of shape "
                f"({len(scores)},), the loss of each row; got {got}."
            )
        return values

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Find the best constant scores by BFGS from zero; zero if that fails."""
        encoded = as_target(self, target, torch.float64)

        def per_row(scores: Tensor) -> Tensor:
            values = self.per_row(scores, encoded)
            if not values.requires_grad:
                raise ValueError(
                    f"loss={self.function!r} cannot be differentiated: compute it "
                    "from the scores by torch operations."
                )
            return values

        return best_constant(per_row, np.zeros(self.n_outputs), weight)


def best_constant(
    per_row: Callable[[Tensor], Tensor], start: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Minimise the weighted mean loss over constant scores, by BFGS.

    Parameters
    ----------
    per_row : callable
        Computes the losses (n,) of scores (n, C), differentiably.
    start : ndarray of shape (C,)
        Constant scores to start from, which are returned if the search fails.
    weight : ndarray of shape (n,)
        Weights of the rows.

    Returns
    -------
    ndarray of shape (C,)
    """
    share = torch.from_numpy(weight / weight.sum())

    def mean_loss(constant: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(constant.copy()).requires_grad_()
        with torch.enable_grad():
            loss = (per_row(leaf.expand(len(weight), len(constant))) * share).sum()
            loss.backward()
        assert leaf.grad is not None
        return loss.item(), leaf.grad.numpy()

    with np.errstate(all="ignore"):
        found: np.ndarray = minimize(mean_loss, start, jac=True).x
    return found if np.isfinite(found).all() else start


def weighted_quantile(
    values: np.ndarray, weight: np.ndarray, quantile: float
) -> np.ndarray:
    """Compute the weighted quantile of each column of ``values`` (n, C).

    It is the smallest value such that the rows up to it have at least the share
    ``quantile`` of the weight. A row of weight 2 counts as two rows.
    """
    order = np.argsort(values, axis=0, kind="stable")
    cumulated = np.cumsum(weight[order], axis=0)
    # Slack for the rounding of the sums.
    reached = cumulated >= quantile * cumulated[-1] * (1 - 1e-12)
    # Rows of no weight at the low end do not count for the quantile 0.
    reached &= cumulated > 0
    first = np.take_along_axis(order, reached.argmax(axis=0)[None], axis=0)
    quantiles: np.ndarray = np.take_along_axis(values, first, axis=0)[0]
    return quantiles


def as_target(loss: Loss, target: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Convert encoded targets to the tensor that ``loss`` takes, always a copy."""
    if loss.target_dtype == "int":
        return torch.from_numpy(target.astype(np.int64))
    return torch.from_numpy(np.array(target, np.float64)).to(dtype)
