"""Display of the loss by epoch."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..runtime.attributes import snapshot
from .style import BLUE, GREY, VERMILION, axes


class LossCurveDisplay:
    """Display of the loss on training and held-out rows, and of the best epoch.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Mean training loss of each epoch.
    validation_loss : array-like of shape (n_epochs,) or (0,)
        Mean loss on held-out rows after each epoch. Empty if there were none.
    best_epoch : int
        Epoch whose weights were kept, counted from 1.
    name : str, default=None
        Title of the plot.
    unit : {"epoch", "iteration"}, default="epoch"
        Unit of the horizontal axis. The Bayesian solver averages over its iterations,
        so that none is marked as kept.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.
    lines_ : list of matplotlib Artist
        Lines of the losses.

    Examples
    --------
    >>> from skfm import FMClassifier
    >>> from skfm.plotting import LossCurveDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]] * 10, [0, 1, 1, 0] * 10
    >>> display = LossCurveDisplay.from_estimator(FMClassifier().fit(X, y))
    >>> display.ax_.get_xlabel()
    'iteration'
    """

    def __init__(
        self,
        loss: Any,
        validation_loss: Any,
        best_epoch: int,
        name: str | None = None,
        unit: str = "epoch",
    ) -> None:
        self.loss = np.asarray(loss, np.float64)
        self.validation_loss = np.asarray(validation_loss, np.float64)
        self.best_epoch, self.name, self.unit = best_epoch, name, unit

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : estimator of skfm
            Fitted estimator, or a pipeline or search that ends in one.
        name : str, default=None
            Title of the plot; None: the class of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        model = getattr(estimator, "best_estimator_", estimator)
        model = snapshot(model[-1] if hasattr(model, "steps") else model)
        validation = -np.asarray(model.validation_scores_, np.float64)
        title = type(model).__name__ if name is None else name
        sampled = getattr(model, "solver_", "sgd") == "bayes"
        unit = "iteration" if sampled else "epoch"
        curve = model.loss_curve_
        return cls(curve, validation, model.best_iter_, title, unit).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        ax = axes(ax, (6, 4))
        epochs = np.arange(1, len(self.loss) + 1)
        marker = {"marker": "o", "markersize": 4} if len(epochs) <= 40 else {}
        self.lines_ = ax.plot(epochs, self.loss, color=BLUE, label="training", **marker)
        if len(self.validation_loss):
            self.lines_ += ax.plot(
                epochs[-len(self.validation_loss) :],
                self.validation_loss,
                "--",
                **(marker and {"marker": "s", "markersize": 4}),
                color=VERMILION,
                label="held out",
            )
        if len(self.validation_loss) and self.unit == "epoch":
            kept = f"kept (epoch {self.best_epoch})"
            ax.axvline(self.best_epoch, color=GREY, lw=1, zorder=0, label=kept)
        ax.set(xlabel=self.unit, ylabel="mean loss", title=self.name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
