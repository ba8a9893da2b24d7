"""The tables of DEFAULTS.md, from the measurements of `defaults.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

#: What the tables stand between; the text around them is written by hand.
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
BASE = "FM"
#: By metric: whether more is better.
METRICS = {"ROC AUC": True, "RMSE": False}


def write_report(
    path: Path,
    results: list[dict[str, Any]],
    data: Sequence[str],
    architectures: Sequence[str],
) -> None:
    """Write the tables anew, between their marks."""
    frame = pd.DataFrame(results)
    tables = [summary(frame, data, architectures)]
    for name in data:
        part = frame[frame["data"] == name].dropna(axis=1, how="all")
        if len(part):
            tables.append(f"### {name}\n\n{details(part, architectures)}")
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n\n".join(tables)
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def metric_of(part: pd.DataFrame) -> str:
    """The metric by which the models of one data set are ranked."""
    return next(metric for metric in METRICS if metric in part)


def gain_over(part: pd.DataFrame, metric: str, base: str) -> pd.DataFrame:
    """How much better than ``base`` each model is (rows: seeds, columns: models)."""
    by_seed = part.pivot(index="seed", columns="model", values=metric)
    gain = by_seed.sub(by_seed.get(base, float("nan")), axis=0)
    return gain if METRICS[metric] else -gain


def details(part: pd.DataFrame, architectures: Sequence[str]) -> str:
    """One data set's table, the best model first."""
    metric = metric_of(part)
    by_model = part.groupby("model")
    order = by_model[metric].mean().sort_values(ascending=not METRICS[metric]).index
    gain = gain_over(part, metric, BASE)
    rows = []
    for model in order:
        runs = by_model.get_group(model)
        row = {"model": f"**{model}**" if model in architectures else model}
        row[metric] = spread(runs[metric])
        if "log loss" in part:
            row["log loss"] = spread(runs["log loss"])
        row[f"better than {BASE} by"] = "" if model == BASE else spread(gain[model])
        row["seconds"] = number(runs["seconds"].mean(), "{:.3g}")
        row["epochs"] = number(runs["epochs"].mean(), "{:.0f}")
        row["seeds"] = str(len(runs))
        rows.append(row)
    return as_markdown(pd.DataFrame(rows).set_index("model"))


def summary(
    frame: pd.DataFrame, data: Sequence[str], architectures: Sequence[str]
) -> str:
    """The mean of each model on each data set; the architectures by average rank.

    Means are over the seeds that all architectures were measured with, if any.
    """
    means, ranks = {}, {}
    for name in data:
        part = frame[frame["data"] == name].dropna(axis=1, how="all")
        if part.empty:
            continue
        metric = metric_of(part)
        by_seed = part.pivot(index="seed", columns="model", values=metric)
        complete = by_seed.reindex(columns=architectures).notna().all(axis=1)
        mean = (by_seed[complete] if complete.any() else by_seed).mean()
        means[f"{name} ({metric})"] = mean
        ranks[name] = mean.reindex(architectures).rank(ascending=not METRICS[metric])
    table = pd.DataFrame(means)
    table["mean rank"] = pd.DataFrame(ranks).mean(axis=1)
    table = table.sort_values("mean rank")
    table.index = [f"**{m}**" if m in architectures else m for m in table.index]
    shown = table.map(lambda value: number(value, "{:.4f}"))
    shown["mean rank"] = table["mean rank"].map(lambda value: number(value, "{:.1f}"))
    return as_markdown(shown.rename_axis("model"))


def spread(values: pd.Series) -> str:
    """Mean and, of several seeds, standard deviation."""
    values = values.dropna()
    mean = number(values.mean(), "{:.4f}")
    return mean if len(values) < 2 else f"{mean} ± {values.std():.4f}"


def number(value: float, form: str) -> str:
    return "" if pd.isna(value) else form.format(value)


def as_markdown(table: pd.DataFrame) -> str:
    header = [str(table.index.name), *table.columns]
    rows = [
        [str(name), *row]
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    rule = ["---", *["---:"] * len(table.columns)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])
