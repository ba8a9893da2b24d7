"""Every architecture with its default parameters, beside linear models and trees.

    python benchmarks/defaults.py [--models PATTERN ...] [--sets PATTERN ...]
                                  [--seeds 0 1 2] [--adult FILE] [--quiet]
    python benchmarks/defaults_report.py

The first command adds a line for each model, set and seed to defaults.jsonl and leaves
out those that are there already: it may be interrupted, and run in parts. The second
writes the tables of DEFAULTS.md and the pictures from these lines.

A model gets the table as it is, with its default parameters and two threads. The rows
are shuffled by the seed, which also seeds the model; the last ones are the test set,
and the first ones, at most as many as the set says, the training set.

Where other work goes on, threads that spin while they wait falsify also the time of the
processor: set OMP_WAIT_POLICY=passive there, and leave --quiet out.
"""

from __future__ import annotations

import os

# Trees count their threads when they are imported.
os.environ["OMP_NUM_THREADS"] = "2"

import argparse
import ast
import json
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from defaults_data import MissingDataError, Sources, Task
from defaults_peers import PEERS, THREADS, missing_peers
from defaults_sets import SETS, Set, parse_set
from sklearn.metrics import (
    log_loss,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

import skfm

RESULTS = Path(__file__).with_name("defaults.jsonl")
ARCHITECTURES = [
    name.removesuffix("Classifier")
    for name in skfm.__all__
    if name.endswith("Classifier")
]
WARM_UP_ROWS = 500
Key = tuple[str, int, str]


def measure(task: Task, one: Set, model: str, seed: int) -> dict[str, Any]:
    """Fit one model on the training rows of a set, and judge it on the test rows."""
    train, test = one.split(len(task.y), seed)
    table, estimator = task.table, make(model, task.is_regression, seed)
    if model in PEERS:
        table = PEERS[model].columns(table)
    rows, y = table.iloc[train], task.y[train]
    wall, cpu = time.perf_counter(), time.process_time()
    estimator.fit(rows, y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if task.is_regression:
        scores = judge_numbers(task.y[test], estimator.predict(table.iloc[test]))
    else:
        said = estimator.predict_proba(table.iloc[test])[:, 1]
        scores = judge_classes(task.y[test], said)
    iterations = getattr(estimator, "n_iter_", None) if model not in PEERS else None
    told = {} if iterations is None else {"iterations": int(iterations)}
    return {"rows": len(train)} | scores | {"seconds": wall, "cpu_seconds": cpu} | told


def make(model: str, is_regression: bool, seed: int) -> Any:
    """Make an estimator with its defaults and the parameters that the name gives."""
    if model in PEERS:
        return PEERS[model].make(is_regression, seed)
    name, params = parse_model(model)
    kind = "Regressor" if is_regression else "Classifier"
    estimator = getattr(skfm, name + kind)(random_state=seed, n_jobs=THREADS)
    return estimator.set_params(**params)


def parse_model(model: str) -> tuple[str, dict[str, Any]]:
    """Take "DeepFM(n_factors=8)" apart into the name and the parameters."""
    call = ast.parse(model, mode="eval").body
    if isinstance(call, ast.Name):
        return call.id, {}
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"{model!r} is neither a name nor NAME(parameter=value, ...)")
    values = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    return call.func.id, values


def judge_numbers(y: np.ndarray, said: np.ndarray) -> dict[str, float]:
    return {"RMSE": root_mean_squared_error(y, said), "R2": r2_score(y, said)}


def judge_classes(y: np.ndarray, said: np.ndarray) -> dict[str, float]:
    return {"log loss": log_loss(y, said), "ROC AUC": roc_auc_score(y, said)}


def warm_up(task: Task, one: Set, model: str) -> None:
    """Fit a few rows, so that no compilation is timed."""
    train, _ = one.split(len(task.y), 0)
    few = train[:WARM_UP_ROWS]
    make(model, task.is_regression, 0).fit(task.table.iloc[few], task.y[few])


def measured(path: Path) -> set[Key]:
    """Read from a file which measurements are done."""
    if not path.exists():
        return set()
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {
        (line["set"], line["seed"], line["model"])
        for line in lines
        if "error" not in line
    }


def store(path: Path, line: dict[str, Any]) -> None:
    """Append one measurement, in a single write, as two runs may go on at once."""
    rounded = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in line.items()
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(rounded) + "\n")


def chosen(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Filter names by patterns, keeping their order."""
    return [n for n in names if any(fnmatchcase(n, pattern) for pattern in patterns)]


def chosen_models(patterns: list[str]) -> list[str]:
    """Models by name; `skfm` and `peers` stand for all of either, NAME(...) for one."""
    groups = {"skfm": ARCHITECTURES, "peers": list(PEERS)}
    models = [name for word in patterns for name in groups.get(word, ())]
    models += chosen(patterns, [*ARCHITECTURES, *PEERS])
    models += [word for word in patterns if "(" in word]
    return list(dict.fromkeys(models))


def chosen_sets(patterns: list[str], without: list[str]) -> list[Set]:
    """Sets of the benchmark by name, and others of the same data: "flights-4000"."""
    names = chosen(patterns, SETS)
    sets = [SETS[name] for name in names if name not in chosen(without, names)]
    known = [word for word in patterns if word in SETS or set(word) & set("*?[")]
    return sets + [parse_set(word) for word in patterns if word not in known]


def options(description: str | None = __doc__) -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    text = "names or patterns; 'skfm', 'peers'; 'DeepFM(n_factors=8)'"
    add("--models", nargs="+", default=["skfm", "peers"], metavar="PATTERN", help=text)
    text = "names or patterns, and DATA-ROWS for another number of training rows"
    add("--sets", nargs="+", default=["*"], metavar="PATTERN", help=text)
    add("--without", nargs="+", default=[], metavar="PATTERN", help="sets to leave out")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--adult", type=Path, default=os.environ.get("SKFM_ADULT"), metavar="FILE")
    folder = os.environ.get("SKFM_MOVIELENS")
    add("--movielens", type=Path, default=folder, metavar="FOLDER")
    add("--results", type=Path, default=RESULTS, metavar="FILE")
    add("--again", action="store_true", help="measure also what has been measured")
    add("--quiet", action="store_true", help="nothing else runs on this machine")
    return parser


def plan(asked: argparse.Namespace) -> Iterator[tuple[int, Set, list[str]]]:
    """Yield the measurements that are left: a seed, a set, and models."""
    absent = missing_peers()
    models = chosen_models(asked.models)
    for name in absent.intersection(models):
        print(f"{name} left out: pip install -r benchmarks/requirements-peers.txt")
    for seed in asked.seeds:
        for one in chosen_sets(asked.sets, asked.without):
            # Another run may have been here in the meantime.
            done = set() if asked.again else measured(asked.results)
            left = [
                model
                for model in models
                if model not in absent and (one.name, seed, model) not in done
            ]
            if left:
                yield seed, one, left


def run(asked: argparse.Namespace) -> None:
    """Measure what was asked for, naming what has to be left out."""
    sources = Sources(asked.adult, asked.movielens)
    warm: set[tuple[str, bool]] = set()
    for seed, one, models in plan(asked):
        try:
            task = sources.task(one.data, seed)
        except MissingDataError as error:
            print(f"{one.name} left out: {error}")
            continue
        train, _ = one.split(len(task.y), seed)
        for model in models:
            if model in PEERS and len(train) > PEERS[model].most_rows:
                continue
            line = {"set": one.name, "data": one.data, "model": model, "seed": seed}
            try:
                if model not in PEERS and (model, task.is_regression) not in warm:
                    warm_up(task, one, model)
                    warm.add((model, task.is_regression))
                line |= measure(task, one, model, seed) | {"quiet": asked.quiet}
            except Exception as error:
                # One model that fails on one set must not end a run of hours; the
                # report names it, and the next run tries it again.
                traceback.print_exc()
                line["error"] = f"{type(error).__name__}: {error}"
            store(asked.results, line)
            print(line, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(options().parse_args())
