"""Comparisons: same folds, failures, the corrected test, resuming, progress."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skfm
from skfm.model_selection import Comparison, compare

TABLE = pd.DataFrame(CELLS, columns=["a", "b", "c"]).map("c{}".format)
LINEAR = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
FM = skfm.FMClassifier(max_iter=5, n_factors=2, crosses=None, random_state=0)


class Fussy(ClassifierMixin, BaseEstimator):
    """Counts its fits in a file, and fails when a file tells it to."""

    def __init__(self, folder=None, patience=0):
        self.folder, self.patience = folder, patience

    def fit(self, X, y):
        count = Path(self.folder) / "fits"
        done = len(count.read_text()) if count.exists() else 0
        if (Path(self.folder) / "stop").exists() and done >= self.patience:
            raise KeyboardInterrupt
        if (Path(self.folder) / "fail").exists() and done >= self.patience:
            raise RuntimeError("fussy today")
        count.write_text("x" * (done + 1))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def n_fits(self):
        return len((Path(self.folder) / "fits").read_text())


def run(estimators=None, featurizations=None, X=TABLE, y=LABELS, **options):
    estimators = estimators or {"linear": LINEAR, "FM": FM}
    featurizations = featurizations or {"two": ["a", "b"], "all": "passthrough"}
    options = {"cv": 3, "scoring": "roc_auc", "progress": False} | options
    return compare(estimators, featurizations, X, y, **options)


def test_scores_are_those_of_cross_validation():
    cv = StratifiedKFold(3, shuffle=True, random_state=1)
    found = run(cv=cv).folds
    for name, model in (("linear", LINEAR), ("FM", FM)):
        for features, X in (("two", TABLE[["a", "b"]]), ("all", TABLE)):
            own = found[(found["model"] == name) & (found["features"] == features)]
            expected = cross_val_score(model, X, LABELS, cv=cv, scoring="roc_auc")
            assert own["score"].tolist() == expected.tolist()
            assert own["fold"].tolist() == [0, 1, 2]


def test_frame_sums_up_the_folds():
    comparison = run()
    frame = comparison.frame
    assert frame["features"].tolist() == ["two", "two", "all", "all"]
    assert frame["model"].tolist() == ["linear", "FM", "linear", "FM"]
    first = comparison.folds[:3]
    assert frame["mean"][0] == pytest.approx(first["score"].mean())
    assert frame["std"][0] == pytest.approx(first["score"].std(ddof=1))
    assert frame["fit_seconds"][0] == pytest.approx(first["fit_seconds"].mean())
    assert (frame[["fit_seconds", "predict_seconds"]] > 0).all(axis=None)
    assert (frame["n_failed"] == 0).all()


def test_sizes_of_models():
    frame = run().frame.set_index(["features", "model"])
    n_columns = 4 + 5
    assert frame.loc[("two", "linear"), "n_columns"] == n_columns
    assert frame.loc[("two", "linear"), "n_parameters"] == n_columns + 1
    encoded = n_columns + 2 * 2  # an unknown and a missing category a field
    assert frame.loc[("two", "FM"), "n_columns"] == encoded
    assert frame.loc[("two", "FM"), "n_parameters"] == encoded * (1 + 2) + 1
    dummy = run({"dummy": DummyClassifier()}).frame
    assert dummy["n_parameters"].isna().all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failing_cell_does_not_lose_the_rest(n_jobs):
    models = {"raw": LogisticRegression(), "linear": LINEAR}
    with pytest.warns(
        FitFailedWarning, match="6 of 12 fits failed, the first of 'raw'"
    ):
        comparison = run(models, n_jobs=n_jobs)
    frame = comparison.frame.set_index(["features", "model"])
    assert frame.loc[("two", "raw"), "n_failed"] == 3
    assert np.isnan(frame.loc[("two", "raw"), "mean"])
    assert frame.loc[("two", "linear"), "mean"] > 0.3
    assert comparison.errors["error"].str.startswith("ValueError: could not").all()
    assert comparison.test(("two", "linear"))["p_value"].isna().sum() == 2


def test_transformers_are_fitted_in_each_fold():
    encoder = OneHotEncoder(handle_unknown="ignore")
    comparison = run({"FM": FM}, {"encoded": encoder})
    pipeline = make_pipeline(encoder, FM)
    expected = cross_val_score(pipeline, TABLE, LABELS, cv=3, scoring="roc_auc")
    assert_allclose(comparison.folds["score"], expected)
    assert not hasattr(encoder, "categories_")


def test_arrays_several_outputs_and_groups():
    X = CELLS.astype(float)
    found = run(
        {"mean": DummyRegressor()},
        {"two": [0, 2], "scaled": StandardScaler()},
        X,
        np.column_stack([LABELS, CELLS[:, 0]]),
        scoring=None,
        cv=GroupKFold(2),
        groups=CELLS[:, 1],
    )
    assert found.scoring == "score"
    assert found.frame["n_columns"].tolist() == [2, 3]
    assert found.folds["n_test"].nunique() > 1


@pytest.mark.parametrize(
    "scoring",
    [["roc_auc", "accuracy"], {"auc": make_scorer(roc_auc_score), "hits": "accuracy"}],
)
def test_several_metrics(scoring, tmp_path):
    first, second = scoring
    expected = run({"linear": LINEAR}, scoring="accuracy")
    journal = tmp_path / "journal"
    run({"linear": LINEAR}, scoring=scoring, journal=journal)
    found = run({"linear": LINEAR}, scoring=scoring, journal=journal)
    assert (found.scoring, found.metrics) == (first, (first, second))
    assert found.folds["score"].tolist() == found.folds[first].tolist()
    other = found.by(second)
    assert (other.scoring, other.by(first).scoring) == (second, first)
    assert other.folds["score"].tolist() == expected.folds["score"].tolist()
    assert other.frame["mean"].tolist() == expected.frame["mean"].tolist()
    assert found.frame[second].tolist() == expected.frame["mean"].tolist()
    assert_allclose(other.test()["difference"], expected.test()["difference"])
    with pytest.raises(ValueError, match="metric='mcc' was not computed, but"):
        found.by("mcc")


@pytest.mark.parametrize("metric", ["accuracy", make_scorer(roc_auc_score)])
def test_metrics(metric):
    comparison = run(scoring=metric)
    assert comparison.scoring == (
        "accuracy" if metric == "accuracy" else "roc_auc_score"
    )
    assert comparison.folds["score"].between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimators": [FM]}, "estimators must be a dict"),
        ({"estimators": {1: FM}}, "estimators has the key 1"),
        ({"estimators": {"x": "FM"}}, r"estimators\['x'\] must be an estimator"),
        (
            {"featurizations": {"x": ["a", "z"]}},
            "names column 'z', but X has",
        ),
        ({"featurizations": {"x": [7]}}, "names column 7, but X has 3 columns"),
        ({"featurizations": {"x": "all"}}, "must be a list of columns"),
        ({"featurizations": {"x": 3}}, "neither a list of columns"),
        ({"scoring": 3}, "scoring must be a metric"),
        ({"scoring": []}, "has no metric"),
        ({"scoring": ["accuracy", "accuracy"]}, "names a metric twice"),
        ({"scoring": {"fold": "accuracy"}}, "a metric of the name 'fold'"),
        ({"scoring": {"a": "accuracy", "b": "acuracy"}}, "acuracy"),
        ({"scoring": "acuracy"}, "scoring"),
        ({"y": LABELS[:-1]}, "inconsistent numbers of samples"),
    ],
)
def test_invalid_arguments_are_refused_before_any_fit(change, message, tmp_path):
    given = {"estimators": {"fussy": Fussy(tmp_path)}} | change
    with pytest.raises(ValueError, match=message):
        run(**given)
    assert not (tmp_path / "fits").exists()


# The corrected test.


def made(scores, n_train=80, n_test=20):
    """A comparison of one set of features with given scores, by model."""
    rows = [
        ("all", model, fold, score, n_train, n_test, None)
        for model, values in scores.items()
        for fold, score in enumerate(values)
    ]
    columns = ["features", "model", "fold", "score", "n_train", "n_test", "error"]
    frame = pd.DataFrame(rows, columns=columns)
    blank = ["fit_seconds", "predict_seconds", "n_parameters", "n_columns"]
    return Comparison(frame.assign(**dict.fromkeys(blank, np.nan)), "accuracy")


def test_corrected_t_test():
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.02, 10)
    better = base + rng.normal(0.01, 0.01, 10)
    row = made({"base": base, "better": better}).test().iloc[0]
    d = better - base
    t = d.mean() / np.sqrt((1 / 10 + 20 / 80) * d.var(ddof=1))
    assert row["t"] == pytest.approx(t)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert row["difference"] == pytest.approx(d.mean())
    plain = stats.ttest_rel(better, base).pvalue
    assert row["p_value"] > plain
    # The interval at level 1 - p ends at zero.
    other = made({"base": base, "better": better}).test(confidence=1 - row["p_value"])
    assert min(abs(other["low"][0]), abs(other["high"][0])) == pytest.approx(
        0, abs=1e-9
    )


def test_corrected_test_rarely_finds_a_difference_of_equals():
    """Two models that differ by chance only, on folds that share their rows."""
    rng = np.random.default_rng(0)
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    y = np.arange(200) % 2
    splits = list(cv.split(y, y))
    found = []
    for _ in range(100):
        # Rows on which one of the two is right and the other wrong.
        wins = rng.normal(size=200)
        differences = [wins[test].mean() for _, test in splits]
        scores = {"base": np.zeros(10), "other": np.array(differences)}
        found.append(made(scores, 160, 40).test()["p_value"][0])
    assert np.mean(np.array(found) < 0.05) < 0.08


def test_holm():
    rng = np.random.default_rng(1)
    base = rng.normal(0.7, 0.02, 10)
    scores = {f"m{i}": base + i * 0.01 + rng.normal(0, 0.01, 10) for i in range(4)}
    table = made({"base": base, **scores}).test()
    p = table["p_value"].to_numpy()
    order = np.argsort(p)
    expected, largest = np.empty(4), 0
    for rank, place in enumerate(order):
        largest = max(largest, min(1, (4 - rank) * p[place]))
        expected[place] = largest
    assert_allclose(table["p_holm"], expected)


def test_no_difference_and_no_folds():
    equal = made({"base": [0.7] * 4, "same": [0.7] * 4}).test().iloc[0]
    assert (equal["t"], equal["p_value"]) == (0, 1)
    one = made({"base": [0.7, np.nan], "other": [0.8, 0.9]}).test().iloc[0]
    assert one["difference"] == pytest.approx(0.1)
    assert np.isnan(one["p_value"])
    with pytest.raises(ValueError, match="not one of the cells"):
        made({"base": [0.7]}).test(("all", "best"))


# Resuming.


def test_an_interrupted_comparison_continues(tmp_path):
    journal = tmp_path / "cells.jsonl"
    fussy = Fussy(tmp_path, patience=4)
    (tmp_path / "stop").touch()
    models = {"fussy": fussy, "dummy": DummyClassifier()}
    options = {"scoring": "accuracy", "journal": journal}
    with pytest.raises(KeyboardInterrupt):
        run(models, **options)
    done = len(journal.read_text().splitlines())
    assert 4 <= done < 12
    (tmp_path / "stop").unlink()
    resumed = run(models, **options)
    assert fussy.n_fits() == 6
    whole = run(models, scoring="accuracy")
    pd.testing.assert_series_equal(resumed.folds["score"], whole.folds["score"])
    assert fussy.n_fits() == 12
    again = run(models, **options)
    pd.testing.assert_frame_equal(again.folds, resumed.folds)
    assert fussy.n_fits() == 12


def test_changed_cells_are_fitted_again(tmp_path):
    options = {"scoring": "accuracy", "journal": tmp_path / "cells.jsonl"}
    fussy = Fussy(tmp_path)
    run({"fussy": fussy}, **options)
    run({"another name": fussy}, {"other": ["a", "b"], "x": "passthrough"}, **options)
    assert fussy.n_fits() == 6
    for n, change in enumerate(
        (
            {"estimators": {"fussy": Fussy(tmp_path, patience=1)}},
            {"X": TABLE.assign(a=TABLE["a"] + "!")},
            {"y": 1 - LABELS},
            {"cv": StratifiedKFold(3, shuffle=True, random_state=0)},
            {"scoring": "balanced_accuracy"},
            {"featurizations": {"two": ["a", "c"], "all": ["a", "b", "c"]}},
        ),
        start=1,
    ):
        run(**{"estimators": {"fussy": fussy}, **options, **change})
        assert fussy.n_fits() == 6 + 6 * n


def test_failures_are_tried_again(tmp_path):
    options = {"scoring": "accuracy", "journal": tmp_path / "cells.jsonl"}
    fussy = Fussy(tmp_path, patience=2)
    (tmp_path / "fail").touch()
    with pytest.warns(FitFailedWarning, match="RuntimeError: fussy today") as warned:
        run({"fussy": fussy}, **options)
    assert warned[0].filename == __file__
    (tmp_path / "fail").unlink()
    assert (run({"fussy": fussy}, **options).frame["n_failed"] == 0).all()
    assert fussy.n_fits() == 6


def test_a_torn_line_is_cut_off(tmp_path):
    journal = tmp_path / "cells.jsonl"
    fussy = Fussy(tmp_path)
    options = {"scoring": "accuracy", "journal": journal}
    run({"fussy": fussy}, **options)
    text = journal.read_text()
    journal.write_text(text[:-10])
    run({"fussy": fussy}, **options)
    assert fussy.n_fits() == 7
    assert len([json.loads(line) for line in journal.read_text().splitlines()]) == 6


@pytest.mark.parametrize("text", ["name,score\n", "no journal at all", '{"a": 1}\n'])
def test_another_file_is_left_alone(tmp_path, text):
    journal = tmp_path / "notes.txt"
    journal.write_text(text)
    with pytest.raises(ValueError, match="was not written by compare"):
        run({"fussy": Fussy(tmp_path)}, journal=journal)
    assert journal.read_text() == text
    assert not (tmp_path / "fits").exists()


def test_a_journal_needs_what_can_be_pickled(tmp_path):
    with pytest.raises(ValueError, match="without lambdas"):
        run(scoring=lambda e, X, y: 0.5, journal=tmp_path / "cells.jsonl")


def test_keys_are_the_same_in_another_process(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_comparing import run\n"
        "run(journal=sys.argv[1])\n"
        "print(open(sys.argv[1]).read().count('key'))"
    )
    journal = str(tmp_path / "cells.jsonl")
    run(journal=journal)
    here = Path(__file__).parent
    folders = [str(here), str(here.parent / "cases")]
    arguments = [sys.executable, "-c", code, journal, *folders]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "12"


# Progress.


def test_progress_bar_nests(capsys):
    run(progress=True)
    shown = capsys.readouterr().out
    assert "ModelComparison - fit" in shown
    assert "FMClassifier" in shown


def test_progress_bar_with_processes(capsys):
    run({"FM": FM}, {"all": "passthrough"}, progress=True, n_jobs=2)
    assert "ModelComparison - fit" in capsys.readouterr().out
    run({"FM": FM}, {"all": "passthrough"}, progress=False)
    assert capsys.readouterr().out == ""
