"""Comparison of models on sets of features by cross-validation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.callback import CallbackSupportMixin, ProgressBar, with_callbacks
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import indexable
from sklearn.utils.parallel import Parallel, delayed

from ..encoding.selection import column_position
from ..runtime.warnings import warn
from .cells import Cell, run_cell
from .comparison import Comparison
from .journal import Journal, keys_of

#: Columns of `Comparison.folds`.
_COLUMNS = ["features", "model", "fold", "score", "fit_seconds", "predict_seconds"]
_COLUMNS += ["n_parameters", "n_columns", "n_train", "n_test", "error"]


def compare(
    estimators: Mapping[str, Any],
    featurizations: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    scoring: Any = None,
    groups: Any = None,
    n_jobs: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Cross-validate every estimator on every featurization, with the same folds.

    Parameters
    ----------
    estimators : dict of str to estimator
        Estimators by name. They are cloned and not fitted themselves.
    featurizations : dict of str to list, transformer or "passthrough"
        Inputs of the estimators, by name. A list selects columns of X, by names or, for
        an array, by numbers. A transformer is fitted in each fold, and its output is
        the input. "passthrough" uses X unchanged.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    cv : int, cross-validation splitter or iterable, default=None
        Splits into folds, as in `sklearn.model_selection.cross_validate`. All cells use
        the same splits. The test of `Comparison.test` has more power with repeated
        folds than with five.
    scoring : str, callable, list or dict, default=None
        Metric, whose greater values are better. None means the ``score`` method of each
        estimator. Several metrics are a list of their names, or a dict of metrics by
        name. The first of them is the one that is compared, tested and drawn, and
        `Comparison.by` returns the comparison by another.
    groups : array-like of shape (n_samples,), default=None
        Groups of the rows, for the splitter.
    n_jobs : int, default=None
        Number of processes, each of which runs one fit at a time.
    journal : path-like, default=None
        File to which each result is added as soon as it is known. Results in it are not
        computed again: after an interruption, call the function again with the same
        arguments. A result is identified by parameters, data, rows and metric, so that
        a changed model is fitted again. Failed fits are repeated. None means that
        nothing is written.
    progress : bool, default=None
        Whether to show a progress bar, with a nested bar for each fit of a model that
        reports its progress. None means that it is shown if rich is installed.

    Returns
    -------
    Comparison
        Results, with the tables ``folds`` and ``frame`` and the methods ``test`` and
        ``plot``. A fit that fails affects only its own fold. The table ``errors`` holds
        its message.

    Raises
    ------
    ValueError
        If an estimator, a featurization, a column, the metric or the journal is not
        valid. This is checked before anything is fitted.
    ImportError
        If ``progress=True`` and rich is missing.

    Warns
    -----
    FitFailedWarning
        If fits failed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FMClassifier
    >>> from skfm.model_selection import compare
    >>> df = pd.DataFrame({"a": list("ppqq") * 25, "b": list("xyxy") * 25})
    >>> y = (df["a"] == "p") == (df["b"] == "x")
    >>> models = {
    ...     "linear": make_pipeline(OneHotEncoder(), LogisticRegression()),
    ...     "FM": FMClassifier(random_state=0),
    ... }
    >>> found = compare(models, {"a": ["a"], "both": ["a", "b"]}, df, y, progress=False)
    >>> found.frame.loc[[2, 3], ["features", "model", "mean"]].round(1)
      features   model  mean
    2     both  linear   0.5
    3     both      FM   1.0
    """
    _check(estimators, featurizations, X, scoring)
    X, y, groups = indexable(X, y, groups)
    classifier = is_classifier(next(iter(estimators.values())))
    splits = list(check_cv(cv, y, classifier=classifier).split(X, y, groups))
    cells = [
        Cell(features, model, fold, estimator, _as_list(featurization), train, test)
        for features, featurization in featurizations.items()
        for model, estimator in estimators.items()
        for fold, (train, test) in enumerate(splits)
    ]
    written = None if journal is None else Journal(journal)
    keys = [] if written is None else keys_of(cells, X, y, scoring)
    known = {} if written is None else written.records
    records = {i: cells[i].record(**known[k]) for i, k in enumerate(keys) if k in known}
    left = [number for number in range(len(cells)) if number not in records]

    def keep(place: int, record: dict[str, Any]) -> None:
        number = left[place]
        records[number] = record
        if written is not None and "error" not in record:
            identity = cells[number].record()
            found = {k: v for k, v in record.items() if k not in identity}
            written.add(keys[number], found)

    comparing = ModelComparison(n_jobs)
    if left and (find_spec("rich") is not None if progress is None else progress):
        comparing.set_callbacks(ProgressBar())
    comparing.fit([cells[number] for number in left], X, y, scoring, keep)
    metrics = list(scoring) if _is_several(scoring) else []
    columns = [*_COLUMNS, *metrics]
    folds = pd.DataFrame([records[i] for i in range(len(cells))], columns=columns)
    _warn_of_failures(folds)
    name = metrics[0] if metrics else _name(scoring)
    return Comparison(_typed(folds, metrics), name, tuple(metrics) or (name,))


class ModelComparison(CallbackSupportMixin):
    """Estimator that runs cells when it is fitted, so that callbacks can watch it."""

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs

    @with_callbacks
    def fit(
        self,
        cells: list[Cell],
        X: Any,
        y: Any,
        scoring: Any,
        keep: Callable[[int, dict[str, Any]], None],
    ) -> None:
        """Run the cells, and pass the place and the record of each to ``keep``."""
        root = self._init_callback_context(
            max_subtasks=len(cells), sequential_subtasks=False
        )
        root.call_on_fit_task_begin(estimator=self)
        contexts = [
            root.subcontext(
                task_name=f"fold {cell.fold + 1} of {cell.model} on {cell.features}",
                task_id=number,
            )
            for number, cell in enumerate(cells)
        ]
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator_unordered")
        owner = ModelComparison(self.n_jobs)
        for place, record in parallel(
            delayed(_run)(number, cell, X, y, scoring, context, owner)
            for number, (cell, context) in enumerate(zip(cells, contexts, strict=True))
        ):
            keep(place, record)
        root.call_on_fit_task_end(estimator=self)


def _run(place: int, *arguments: Any) -> tuple[int, dict[str, Any]]:
    return place, run_cell(*arguments)


def _check(
    estimators: Mapping[str, Any],
    featurizations: Mapping[str, Any],
    X: Any,
    scoring: Any,
) -> None:
    """Raise a ValueError for arguments that are not valid."""
    for name, given in (("estimators", estimators), ("featurizations", featurizations)):
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"{name} must be a dict with at least one name as key.")
        for key in given:
            if not isinstance(key, str):
                raise ValueError(f"{name} has the key {key!r}, which is not a string.")
    for name, estimator in estimators.items():
        if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
            raise ValueError(
                f"estimators[{name!r}] must be an estimator; got {estimator!r}."
            )
    for name, featurization in featurizations.items():
        _check_featurization(name, _as_list(featurization), X)
    if _is_several(scoring):
        _check_metrics(scoring)
    elif not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise ValueError(
            "scoring must be a metric, which is a str or a callable, a list of names "
            f"of metrics, or a dict of metrics by name; got {scoring!r}."
        )
    elif isinstance(scoring, str):
        get_scorer(scoring)


def _is_several(scoring: Any) -> bool:
    """Return whether there are several metrics, in a list or a dict."""
    return isinstance(scoring, Mapping | list | tuple)


def _check_metrics(scoring: Any) -> None:
    """Raise a ValueError for several metrics of which one is not valid."""
    if not scoring:
        raise ValueError(f"scoring={scoring!r} has no metric: name one or more.")
    named = isinstance(scoring, Mapping)
    for name, metric in scoring.items() if named else [(m, m) for m in scoring]:
        if not isinstance(name, str) or name in _COLUMNS:
            raise ValueError(
                f"scoring has a metric of the name {name!r}, which must be a string "
                "that is not a column of the results: pass a dict with other names."
            )
        if not callable(metric):
            get_scorer(metric)
    if len(set(scoring)) < len(scoring):
        raise ValueError(f"scoring={scoring!r} names a metric twice.")


def _check_featurization(name: str, featurization: Any, X: Any) -> None:
    if isinstance(featurization, list):
        named = hasattr(X, "columns")
        names = list(X.columns) if named else [""] * X.shape[1]
        for column in featurization:
            column_position(column, names, named, f"featurizations[{name!r}]")
    elif isinstance(featurization, str) and featurization != "passthrough":
        raise ValueError(
            f"featurizations[{name!r}] is {featurization!r}, but must be a list of "
            'columns, a transformer or "passthrough".'
        )
    elif not isinstance(featurization, str) and not hasattr(featurization, "transform"):
        raise ValueError(
            f"featurizations[{name!r}] is neither a list of columns nor a transformer: "
            f"{featurization!r}."
        )


def _as_list(featurization: Any) -> Any:
    """Convert a sequence of columns to a list; return anything else unchanged."""
    if isinstance(featurization, str) or hasattr(featurization, "fit"):
        return featurization
    return list(featurization) if isinstance(featurization, Iterable) else featurization


def _warn_of_failures(folds: pd.DataFrame) -> None:
    failed = folds[folds["error"].notna()]
    if failed.empty:
        return
    first = failed.iloc[0]
    warn(
        f"{len(failed)} of {len(folds)} fits failed, the first of {first['model']!r} "
        f"on {first['features']!r}: {first['error']}. The table errors of the "
        "comparison lists all of them.",
        FitFailedWarning,
    )


def _typed(folds: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    numbers = ["score", "fit_seconds", "predict_seconds", "n_parameters", "n_columns"]
    numbers += metrics
    return folds.astype(dict.fromkeys(numbers, np.float64) | {"error": object})


def _name(scoring: Any) -> str:
    """Return the name of a metric."""
    if scoring is None:
        return "score"
    if isinstance(scoring, str):
        return scoring
    function = getattr(scoring, "_score_func", scoring)
    return str(getattr(function, "__name__", "score"))
