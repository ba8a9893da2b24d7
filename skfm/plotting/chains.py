"""Display of the chains of the Bayesian solver."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ..runtime.attributes import snapshot
from .style import BLUE, GREY, VERMILION, axes


class ChainsDisplay:
    """Display of the agreement of chains by iteration, and of the scale of each field.

    Parameters
    ----------
    rhat_path : array-like of shape (n_judgements, 2)
        Iteration and split R-hat of each judgement.
    scales : array-like of shape (n_fields, n_outputs, n_factors + 1)
        Standard deviations of the factors and, last, of the linear weights.
    field_names : list of str
        Names of the fields.
    name : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes of shape (2,)
        Axes of the two plots.
    figure_ : matplotlib Figure
        Figure of the plots.

    Examples
    --------
    >>> from skfm import FMClassifier
    >>> from skfm.plotting import ChainsDisplay
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]] * 10, [0, 1, 1, 0] * 10
    >>> display = ChainsDisplay.from_estimator(FMClassifier(random_state=0).fit(X, y))
    >>> display.ax_[0].get_xlabel()
    'iteration'
    """

    def __init__(
        self,
        rhat_path: Any,
        scales: Any,
        field_names: list[str],
        name: str | None = None,
    ) -> None:
        self.rhat_path = np.asarray(rhat_path, np.float64).reshape(-1, 2)
        self.scales = np.asarray(scales, np.float64)
        self.field_names, self.name = field_names, name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the diagnostics of a fit by the Bayesian solver.

        Parameters
        ----------
        estimator : estimator of skfm
            Estimator fitted by ``solver="bayes"``, or a pipeline or search that ends in
            one.
        name : str, default=None
            Title of the plot; None: the class of the estimator.
        ax : pair of matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Raises
        ------
        ValueError
            If the estimator was fitted by another solver.
        """
        model = getattr(estimator, "best_estimator_", estimator)
        model = snapshot(model[-1] if hasattr(model, "steps") else model)
        if getattr(model, "solver_", None) != "bayes":
            raise ValueError(
                "ChainsDisplay shows the chains of the Bayesian solver, but this "
                f"{type(model).__name__} was not fitted by it: fit it with "
                'solver="bayes".'
            )
        found, n_fields = model.diagnostics_, len(model.diagnostics_["scales"])
        names = model.field_names_ or [f"field {f}" for f in range(n_fields)]
        title = type(model).__name__ if name is None else name
        names = [str(field) for field in names]
        return cls(found["rhat_path"], found["scales"], names, title).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : pair of matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        if ax is None:
            height = max(4.0, 1 + 0.25 * len(self.field_names))
            figure = axes(None, (10, height)).figure
            figure.clear()
            ax = figure.subplots(1, 2)
        left, right = self.ax_ = np.asarray(ax)
        iterations, rhat = self.rhat_path.T
        left.plot(iterations, rhat, "o-", color=BLUE)
        left.axhline(1, color=GREY, lw=1, zorder=0)
        left.set(xlabel="iteration", ylabel="split R-hat of the scores")
        left.set_title(self.name)
        places = np.arange(len(self.scales))
        factors = np.sqrt(np.square(self.scales[..., :-1]).sum(axis=2).mean(axis=1))
        weights = np.sqrt(np.square(self.scales[..., -1]).mean(axis=1))
        right.barh(places - 0.2, weights, 0.4, color=BLUE, label="linear weights")
        right.barh(places + 0.2, factors, 0.4, color=VERMILION, label="embeddings")
        right.set_yticks(places, self.field_names)
        right.invert_yaxis()
        right.set(xlabel="standard deviation over a field's columns")
        right.legend()
        self.figure_ = left.figure
        return self
