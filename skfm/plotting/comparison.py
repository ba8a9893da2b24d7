"""Display of the scores of a comparison."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from .style import CYCLE, MARKERS, axes, font_size, shorten


class ComparisonDisplay:
    """Display of the mean score and spread of each model on each set of features.

    Parameters
    ----------
    frame : DataFrame
        Table with the columns ``features``, ``model``, ``mean`` and ``std``.
    scoring : str, default="score"
        Name of the metric.
    name : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.plotting import ComparisonDisplay
    >>> frame = pd.DataFrame(
    ...     {"features": "all", "model": ["FM", "NFM"], "mean": [0.8, 0.9], "std": 0.01}
    ... )
    >>> ComparisonDisplay(frame, "roc_auc").plot().ax_.get_xlabel()
    'roc_auc, mean and standard deviation over folds'
    """

    def __init__(
        self, frame: pd.DataFrame, scoring: str = "score", name: str | None = None
    ) -> None:
        self.frame, self.scoring, self.name = frame, scoring, name

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, name: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the scores of a comparison.

        Parameters
        ----------
        comparison : Comparison
            Result of `skfm.model_selection.compare`.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        return cls(comparison.frame, comparison.scoring, name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display, with the features from top to bottom.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        features = list(dict.fromkeys(self.frame["features"]))
        models = list(dict.fromkeys(self.frame["model"]))
        height = 0.28 * len(models) + 0.35
        ax = axes(ax, (8, 1.7 + height * len(features)))
        shifts = (np.arange(len(models)) - (len(models) - 1) / 2) * 0.8 / len(models)
        for number, (model, shift) in enumerate(zip(models, shifts, strict=True)):
            own = self.frame[self.frame["model"] == model]
            places = own["features"].map(features.index) + shift
            style = number % len(CYCLE)
            drawn = ax.errorbar(
                own["mean"],
                places,
                xerr=own["std"],
                fmt=MARKERS[style],
                color=CYCLE[style],
                capsize=3,
                label=shorten(model),
            )
            self._write(ax, own["mean"], places, drawn[0].get_color())
        ax.set_yticks(
            range(len(features)),
            [shorten(name) for name in features],
            fontsize=font_size(len(features)),
        )
        ax.set_ylim(len(features) - 0.5, -0.5)
        for edge in range(1, len(features)):
            ax.axhline(edge - 0.5, color="black", lw=0.5, alpha=0.3)
        ax.set(
            xlabel=f"{self.scoring}, mean and standard deviation over folds",
            title=self.name,
        )
        ax.margins(x=0.1)
        ax.grid(axis="x", alpha=0.3)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _write(self, ax: Any, means: Any, places: Any, colour: str) -> None:
        for mean, place in zip(means, places, strict=True):
            if np.isfinite(mean):
                spot = {"xytext": (0, 6), "textcoords": "offset points"}
                text = f"{mean:.4g}"
                ax.annotate(
                    text,
                    (mean, place),
                    **spot,
                    fontsize=7,
                    color=colour,
                    ha="center",
                )
