"""Hyper-parameters of the descent beyond optimizer and learning rate."""

from __future__ import annotations

from numbers import Real

from .._sklearn import Interval, StrOptions
from .hyperparameters import SharedParameters
from .params import given_or_default, param


class OptimizationParameters(SharedParameters):
    """Momentum, L1, the course of the learning rates, and clipping."""

    momentum: float = param(
        default=0.0,
        valid=[Interval(Real, 0, 1, closed="left")],
        doc="""float
            Momentum of ``optimizer="sgd"``. The velocity of a column does not change
            in steps whose batch does not contain the column.""",
    )
    l1_ratio_linear: float = param(
        default=0.0,
        valid=[Interval(Real, 0, 1, closed="both")],
        doc="""float
            Share of L1 in the penalty on the linear weights. The penalty
            ``alpha_linear * (l1_ratio_linear * sum(abs(x_i w_i)) + (1 -
            l1_ratio_linear) / 2 * sum((x_i w_i)**2))`` over the entries of a row is
            added to its loss. Proximal steps make weights exactly zero.""",
    )
    l1_ratio_factors: float = param(
        default=0.0,
        valid=[Interval(Real, 0, 1, closed="both")],
        doc="""float
            Share of L1 in the penalty on the embeddings, as for the linear weights.""",
    )
    learning_rate_schedule: str = param(
        default="constant",
        valid=[StrOptions({"constant", "adaptive", "cosine"})],
        doc="""{"constant", "adaptive", "cosine"}
            Schedule of ``learning_rate`` and ``network_learning_rate``. "adaptive"
            divides both by five whenever ``n_iter_no_change`` epochs have not improved
            the held-out score (the training loss, if no rows are held out) by ``tol``;
            the fourth time, training ends instead. "cosine" lowers both to zero over
            ``max_iter`` epochs along half a cosine wave. `partial_fit` keeps them
            constant.""",
    )
    warmup_epochs: float = param(
        default=0.0,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            Number of epochs, whole or fractional, over which the learning rates rise
            linearly from zero to the values of the schedule. `partial_fit` ignores
            it.""",
    )
    clip_norm: float | None = param(
        default=None,
        valid=[Interval(Real, 0, None, closed="neither"), None],
        doc="""float or None
            Maximum Euclidean norm of the gradients in a step. It applies to the
            gradient of the intercept and all dense weights together, and to that of the
            linear weights and embedding of each column, both with the gradients of L2
            penalties. Longer gradients are scaled down to this norm. None means no
            clipping.""",
    )

    def _check_optimization(self) -> None:
        """Refuse parameters that would have no effect beside each other.

        Raises
        ------
        ValueError
        """
        optimizer = given_or_default(self, OptimizationParameters, "optimizer")
        if self.momentum and optimizer != "sgd":
            raise ValueError(
                f"momentum={self.momentum} is for optimizer='sgd' only, but optimizer="
                f"{optimizer!r}: set momentum=0 or optimizer='sgd'."
            )
        for part in ("linear", "factors"):
            ratio = getattr(self, f"l1_ratio_{part}")
            name = f"alpha_{part}"
            if ratio and not given_or_default(self, OptimizationParameters, name):
                raise ValueError(
                    f"l1_ratio_{part}={ratio} is a share of alpha_{part}, which is 0: "
                    f"set alpha_{part} above 0, or l1_ratio_{part}=0."
                )
