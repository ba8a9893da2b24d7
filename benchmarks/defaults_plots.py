"""The pictures of DEFAULTS.md: ranks of the models, and learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from defaults_peers import PEERS
from scipy.stats import studentized_range

OURS, OTHERS = "#0072B2", "#777777"
FEWEST_SIZES = 3
#: Share of the sets that a model must have been measured on to be ranked.
MOST_SETS = 0.8
CURVES = {
    "FM": "#0072B2",
    "DeepFM": "#009E73",
    "NFM": "#56B4E9",
    "AFM": "#CC79A7",
    "linear model": "#000000",
    "HistGradientBoosting": "#E69F00",
    "LightGBM, ids as codes": "#F0E442",
    "CatBoost": "#D55E00",
    "constant": "#999999",
}


def critical_difference(n_models: int, n_sets: int, alpha: float = 0.05) -> float:
    """Difference of mean ranks that is significant by Nemenyi's test.

    Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
    """
    q = studentized_range.ppf(1 - alpha, n_models, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_models * (n_models + 1) / (6 * n_sets)))


def draw_ranks(
    path: Path, losses: pd.DataFrame, times: pd.DataFrame, unit: str = "Seconds"
) -> None:
    """Draw the ranks of the models by loss, and their time, on the sets that all have.

    Models that were measured on few of the sets are left out.

    Parameters
    ----------
    path : Path
        The picture to write.
    losses, times : DataFrame
        A row for each set, a column for each model.
    unit : str, default="Seconds"
        Unit of the times.
    """
    import matplotlib.pyplot as plt

    losses = losses.dropna(axis=1, thresh=round(MOST_SETS * len(losses)))
    ranks = losses.dropna().rank(axis=1)
    if ranks.empty:
        return
    order = ranks.mean().sort_values(ascending=False).index
    half = critical_difference(len(order), len(ranks)) / 2
    figure, (left, right) = plt.subplots(
        ncols=2,
        sharey=True,
        figsize=(9, 0.32 * len(order) + 1.6),
        width_ratios=(2, 1),
        layout="tight",
    )
    for place, model in enumerate(order):
        color = OTHERS if model in PEERS else OURS
        mean = ranks[model].mean()
        left.plot(
            ranks[model], np.full(len(ranks), place), "|", color=color, alpha=0.35
        )
        left.hlines(place, mean - half, mean + half, color=color, linewidth=2)
        left.plot(mean, place, "o", color=color)
        right.barh(place, times.loc[ranks.index, model].sum(), color=color)
    left.set_xlim(0.5, len(order) + 0.5)
    left.set_yticks(range(len(order)), order)
    left.set_xlabel(
        f"rank by loss on {len(ranks)} sets (1 is best)\n"
        "models whose lines do not overlap differ significantly"
    )
    right.set_xscale("log")
    right.set_xlabel(f"{unit.lower()} to fit, all sets")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_curves(path: Path, frame: pd.DataFrame) -> None:
    """Draw the loss over the number of training rows, for data with several sizes.

    Sizes that few of the models were measured on are left out.
    """
    import matplotlib.pyplot as plt

    part = frame[frame["model"].isin(CURVES)].dropna(subset="loss")
    models = part.groupby(["data", "rows"])["model"].transform("nunique")
    part = part[models > part["model"].nunique() / 2]
    sizes = part.groupby("data")["rows"].nunique()
    several = list(sizes.index[sizes >= FEWEST_SIZES])
    if not several:
        return
    figure, grid = plt.subplots(
        ncols=len(several), figsize=(4 * len(several), 4), squeeze=False, layout="tight"
    )
    for axes, data in zip(grid[0], several, strict=True):
        here = part[part["data"] == data]
        mean = here.groupby(["model", "rows"])["loss"].mean()
        for model, color in CURVES.items():
            if model in mean:
                axes.plot(mean[model], "o-", color=color, label=model, markersize=3)
        worst = here.loc[here["model"] == "constant", "loss"].max()
        if worst == worst:
            axes.set_ylim(top=1.15 * worst)
        axes.set_xscale("log")
        marks = sorted(here["rows"].unique())
        axes.set_xticks(marks, [f"{n:,.0f}" for n in marks], rotation=45)
        axes.minorticks_off()
        axes.set_xlabel("training rows")
        axes.set_title(data)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("loss on the test rows")
    grid[0, 0].legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
