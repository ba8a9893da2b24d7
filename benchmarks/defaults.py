"""Every architecture with its default parameters, beside linear models and trees.

    python benchmarks/defaults.py [--models FM DeepFM] [--data flights] [--seeds 0 1 2]

adds what it measures to defaults.json, in place of earlier measurements of the same
models, and writes the tables of DEFAULTS.md anew. A model gets the table as it is, on
one thread; a fifth of the rows, drawn at random by the seed, is the test set.
"""

from __future__ import annotations

import os

# Trees count their threads when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from defaults_data import TASKS, MissingDataError, Sources, Task
from defaults_peers import PEERS, missing_peers
from defaults_report import write_report
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

import skfm

HERE = Path(__file__).parent
RESULTS = HERE / "defaults.json"
REPORT = HERE / "DEFAULTS.md"
ARCHITECTURES = [
    name.removesuffix("Classifier")
    for name in skfm.__all__
    if name.endswith("Classifier")
]
CEILING = "planted score"


def measure(task: Task, model: str, seed: int) -> dict[str, float]:
    """Fit one model on four fifths of a task, and judge it on the rest."""
    train, test = split(task, seed)
    if model == CEILING:
        assert task.ceiling is not None
        score = task.ceiling[test]
        return judge(task.y[test], 1 / (1 + np.exp(-score)), is_regression=False)
    table, estimator = task.table, make(model, task.is_regression, seed)
    if model in PEERS:
        table = PEERS[model].columns(table)
    seconds = time.process_time()
    estimator.fit(table.iloc[train], task.y[train])
    seconds = time.process_time() - seconds
    rows = table.iloc[test]
    if task.is_regression:
        said = estimator.predict(rows)
    else:
        said = estimator.predict_proba(rows)[:, 1]
    epochs = {"epochs": estimator.n_iter_} if model in ARCHITECTURES else {}
    return judge(task.y[test], said, task.is_regression) | {"seconds": seconds} | epochs


def split(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(task.y))
    labels = None if task.is_regression else task.y
    train, test = train_test_split(
        rows, test_size=0.2, random_state=seed, stratify=labels
    )
    return train, test


def make(model: str, is_regression: bool, seed: int) -> Any:
    """An unfitted estimator with its defaults, on one thread."""
    if model in PEERS:
        return PEERS[model].make(is_regression, seed)
    kind = "Regressor" if is_regression else "Classifier"
    return getattr(skfm, model + kind)(random_state=seed, n_jobs=1)


def judge(y: np.ndarray, said: np.ndarray, is_regression: bool) -> dict[str, float]:
    if is_regression:
        return {"RMSE": root_mean_squared_error(y, said)}
    return {"ROC AUC": roc_auc_score(y, said), "log loss": log_loss(y, said)}


def load(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text()) if path.exists() else []


def store(path: Path, result: dict[str, Any]) -> None:
    """Add one measurement, in place of an earlier one of the same."""
    names = ("data", "model", "seed")
    key = [result[name] for name in names]
    others = [r for r in load(path) if [r[name] for name in names] != key]
    results = sorted([*others, result], key=lambda r: [str(r[name]) for name in names])
    lines = ",\n".join(json.dumps(r) for r in results)
    path.write_text(f"[\n{lines}\n]\n")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    models = [*PEERS, CEILING, *ARCHITECTURES]
    add = parser.add_argument
    add("--models", nargs="+", choices=models, default=models)
    add("--data", nargs="+", choices=list(TASKS), default=list(TASKS))
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--adult", type=Path, default=os.environ.get("SKFM_ADULT"))
    add("--movielens", type=Path, default=os.environ.get("SKFM_MOVIELENS"))
    add("--results", type=Path, default=RESULTS)
    add("--report", type=Path, default=REPORT)
    add("--report-only", action="store_true", help="measure nothing")
    return parser.parse_args()


def run(asked: argparse.Namespace) -> None:
    """Measure what was asked for, naming what has to be left out."""
    sources = Sources(asked.adult, asked.movielens)
    absent = missing_peers()
    for name in absent.intersection(asked.models):
        print(f"{name} left out: pip install -r benchmarks/requirements-peers.txt")
    for seed in asked.seeds:
        for data in asked.data:
            try:
                task = sources.task(data, seed)
            except MissingDataError as error:
                print(f"{data} left out: {error}")
                continue
            for model in asked.models:
                if model in absent or (model == CEILING and task.ceiling is None):
                    continue
                result = measure(task, model, seed)
                store(
                    asked.results,
                    {"data": data, "model": model, "seed": seed}
                    | {name: float(f"{value:.5g}") for name, value in result.items()},
                )
                print(f"{data}, seed {seed}, {model}: {result}", flush=True)


if __name__ == "__main__":
    asked = options()
    if not asked.report_only:
        run(asked)
    write_report(asked.report, load(asked.results), list(TASKS), ARCHITECTURES)
