"""The tables of DEFAULTS.md and its pictures, from the measurements of `defaults.py`.

    python benchmarks/defaults_report.py [--results FILE] [--report FILE] [--images DIR]

A measurement made again replaces the earlier one. Sets and models that were not
measured are left out; models are compared on the seeds that all of them have.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from defaults import RESULTS
from defaults_peers import PEERS
from defaults_plots import draw_curves, draw_ranks
from defaults_sets import SETS

HERE = Path(__file__).parent
REPORT = HERE / "DEFAULTS.md"
IMAGES = HERE.parent / "docs" / "images"
#: The tables stand between these; the text around them is written by hand.
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
RIVALS = ("HistGradientBoosting", "CatBoost")
#: Loss of an architecture relative to these that is noted as a failure if it is above.
LIMITS = {"constant": 1.0, "linear model": 1.02}
#: Share of the sets and seeds from which on models are compared in the first tables.
MOST = 0.8


def read(path: Path) -> pd.DataFrame:
    """Read the measurements, one a row, with the loss by which models are compared."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    frame = pd.DataFrame(list(lines))
    needed = ["log loss", "RMSE", "error", "seconds", "cpu_seconds", "quiet"]
    frame = frame.reindex(columns=list(dict.fromkeys([*frame.columns, *needed])))
    frame["loss"] = frame["log loss"].fillna(frame["RMSE"])
    return frame.drop_duplicates(["set", "seed", "model"], keep="last")


#: Names of the columns of times.
UNITS = {"seconds": "Seconds", "cpu_seconds": "Processor seconds"}


def time_column(frame: pd.DataFrame) -> str:
    """The times that may be compared: of a busy machine only the processor's."""
    return "seconds" if frame["quiet"].dropna().astype(bool).all() else "cpu_seconds"


def by_model(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Pivot one column: sets of the benchmark and seeds in rows, models in columns."""
    part = frame[frame["set"].isin(SETS)]
    table = part.pivot(index=["set", "seed"], columns="model", values=column)
    return table.dropna(how="all")


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds, sets in the order of the benchmark.

    The seeds of a set are those that all models measured on it have, if there are any.
    """
    mean = {}
    for name, part in table.groupby("set"):
        complete = part.dropna(axis=1, how="all").dropna()
        mean[name] = (part.loc[complete.index] if len(complete) else part).mean()
    rows = [name for name in SETS if name in mean]
    return pd.DataFrame([mean[name] for name in rows], rows, table.columns)


def in_order(models: Iterable[str]) -> list[str]:
    """Architectures first, then peers in their order."""
    peers = [name for name in PEERS if name in set(models)]
    return [*sorted(set(models) - set(peers)), *peers]


def often_measured(losses: pd.DataFrame) -> list[str]:
    """Models that were measured on most sets with most seeds."""
    share = losses.notna().mean()
    return list(share.index[share >= MOST])


def loss_table(losses: pd.DataFrame) -> str:
    """Mean losses, the lowest of each set in bold."""
    mean = means(losses)[in_order(losses.columns)]
    shown = mean.map(lambda value: number(value, "{:.4f}"))
    for name, model in mean.idxmin(axis=1).items():
        shown.loc[name, model] = f"**{shown.loc[name, model]}**"
    return as_markdown(shown.rename_axis("set"))


def time_table(times: pd.DataFrame) -> str:
    """Mean seconds of a fit, and their sum over the sets."""
    mean = means(times)[in_order(times.columns)]
    shown = mean.map(lambda value: number(value, "{:.3g}"))
    total = mean.sum().where(mean.notna().all())
    shown.loc["all"] = total.map(lambda value: number(value, "{:,.1f}"))
    return as_markdown(shown.rename_axis("set"))


def pair(table: pd.DataFrame, model: str, rival: str) -> pd.DataFrame:
    """Means of two models over the seeds that both have, on the sets of both."""
    return means(table[[model, rival]].dropna())


def versus(losses: pd.DataFrame, times: pd.DataFrame, rival: str) -> str:
    """Each model beside one: sets won and lost, ratios of loss and of time."""
    rows = {}
    for model in in_order(losses.columns.drop(rival)):
        both = pair(losses, model, rival)
        if both.empty:
            continue
        ratio = both[model] / both[rival]
        spent = pair(times, model, rival).sum()
        won = int((ratio < 1).sum())
        rows[model] = {
            "sets": str(len(ratio)),
            "won": str(won),
            "share won": f"{won / len(ratio):.0%}",
            "median loss ratio": f"{ratio.median():.3f}",
            "worst loss ratio": f"{ratio.max():.3f} ({ratio.idxmax()})",
            "time ratio": f"{spent[model] / spent[rival]:.2f}",
        }
    return as_markdown(pd.DataFrame(rows).T.rename_axis("model"))


def worst_gap(losses: pd.DataFrame) -> str:
    """The distance of each model above the better of the rivals, at its worst set."""
    rows = {}
    for model in in_order(losses.columns):
        columns = list(dict.fromkeys([model, *RIVALS]))
        known = means(losses[columns].dropna())
        if model in RIVALS or known.empty:
            continue
        gap = known[model] / known[list(RIVALS)].min(axis=1) - 1
        far = gap.index[gap > 0.03]
        rows[model] = {
            "sets": str(len(gap)),
            "ahead of both": str(int((gap < 0).sum())),
            "worst gap": f"{gap.max():+.1%} ({gap.idxmax()})",
            "gaps above 3 %": str(len(far)) if model in PEERS else ", ".join(far),
        }
    return as_markdown(pd.DataFrame(rows).T.rename_axis("model"))


def failures(frame: pd.DataFrame) -> str:
    """Fits that raised, and architectures worse than the constant or a linear model.

    Also on sets of other sizes than those of the benchmark.
    """
    wrong = frame[frame["error"].notna()].itertuples()
    lines = [f"- {w.model} on {w.set}, seed {w.seed}: {w.error}" for w in wrong]
    table = frame.pivot(index=["set", "seed"], columns="model", values="loss")
    for baseline, limit in LIMITS.items():
        for model in [m for m in table if m not in PEERS and baseline in table]:
            both = table[[model, baseline]].dropna().groupby("set").mean()
            ratio = both[model] / both[baseline]
            lines += [
                f"- {model} on {name}: {value:.3f} of the loss of the {baseline}"
                for name, value in ratio[ratio > limit].items()
            ]
    return "\n".join(lines) or "None."


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


def sections(frame: pd.DataFrame) -> list[str]:
    """All tables with their headings."""
    clock = time_column(frame)
    losses, times = by_model(frame, "loss"), by_model(frame, clock)
    unit, often = UNITS[clock], often_measured(losses)
    present = [rival for rival in RIVALS if rival in losses]
    parts: list[tuple[str, Callable[[], str]]] = [
        (f"Beside {rival}", lambda rival=rival: versus(losses, times, rival))
        for rival in present
    ]
    if len(present) == len(RIVALS):
        parts.append(("Above the better of the two", lambda: worst_gap(losses)))
    loss = "Loss: log loss of classes, RMSE of numbers"
    parts += [
        (loss, lambda: loss_table(losses[often])),
        (f"{unit} of a fit", lambda: time_table(times[often])),
    ]
    if len(often) < losses.shape[1]:
        parts += [
            ("Loss of all models", lambda: loss_table(losses)),
            (f"{unit} of a fit of all models", lambda: time_table(times)),
        ]
    parts.append(("Failures", lambda: failures(frame)))
    return [f"### {title}\n\n{make()}" for title, make in parts]


def write_report(path: Path, frame: pd.DataFrame) -> None:
    """Write the tables anew, between their marks."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {BEGIN!r} and {END!r}.")
    body = "\n\n".join(sections(frame))
    path.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE")
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="DIR")
    asked = parser.parse_args()
    frame = read(asked.results)
    write_report(asked.report, frame)
    clock = time_column(frame)
    losses, times = by_model(frame, "loss"), by_model(frame, clock)
    whole = [m for m in losses if m not in PEERS or PEERS[m].most_rows == float("inf")]
    draw_ranks(
        asked.images / "defaults_ranks.png",
        means(losses[whole]),
        means(times[whole]),
        UNITS[clock],
    )
    draw_curves(asked.images / "learning_curves.png", frame)


if __name__ == "__main__":
    main()
