"""skfm.save of scikit-learn's estimators, by skops, with models of skfm inside."""

import sys

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, X, make
from file_cases import parts_of, sign
from numpy.testing import assert_array_equal
from saving_cases import round_trip
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    StandardScaler,
)

import skfm
from skfm.persistence import FileFormatError

skops_io = pytest.importorskip("skops.io")

FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)


class Foreign(ClassifierMixin, BaseEstimator):
    """An estimator of another library around a model."""

    def __init__(self, model):
        self.model = model


def _small(**options):
    options = {"max_iter": 2, "n_factors": 2, "crosses": None} | options
    return skfm.FMClassifier(random_state=0, **options)


def _encoded():
    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), _small())


META = {
    "search": lambda: GridSearchCV(
        _encoded(), {"fmclassifier__n_factors": [2, 3]}, cv=2, scoring="roc_auc"
    ),
    "search of estimators": lambda: RandomizedSearchCV(
        Pipeline([("model", _small())]),
        {"model": [_small(solver="sgd"), LogisticRegression()]},
        n_iter=2,
        cv=StratifiedKFold(2),
        scoring=["accuracy", "neg_log_loss"],
        refit="accuracy",
        error_score=0.0,
        random_state=0,
    ),
    "calibrated": lambda: CalibratedClassifierCV(_small(solver="sgd"), cv=2),
    "threshold": lambda: TunedThresholdClassifierCV(_small(solver="sgd"), cv=2),
    "stack": lambda: StackingClassifier(
        [("fm", _small(solver="sgd")), ("linear", _encoded())], cv=2
    ),
    "columns": lambda: make_pipeline(
        make_column_transformer((skfm.FieldEncoder(), ["site", "ad"])), _small()
    ),
    "target": lambda: TransformedTargetRegressor(
        skfm.FMRegressor(solver="sgd", max_iter=2, random_state=0),
        func=np.log1p,
        inverse_func=np.expm1,
    ),
}


def _double(X):
    return 2 * X


def test_pipelines(tmp_path):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["site", "ad"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["number"]),
    )
    frame = FRAME.assign(number=np.where(CELLS[:, 0] == 1, np.nan, CELLS[:, 1]))
    model = make_pipeline(columns, MaxAbsScaler(), make(skfm.DCNClassifier))
    model.set_params(dcnclassifier__fields=[4, 5, 1]).fit(frame, LABELS)
    back = round_trip(model, tmp_path)
    assert_array_equal(back.predict_proba(frame), model.predict_proba(frame))
    assert [name for name, _ in back.steps] == [name for name, _ in model.steps]


def test_types_that_could_run_code(tmp_path):
    double = FunctionTransformer(_double)
    model = make_pipeline(double, make(skfm.FMClassifier)).fit(X, LABELS)
    with pytest.raises(FileFormatError, match=r"_double.*pass trusted=\["):
        round_trip(model, tmp_path)
    names = [f"{_double.__module__}._double"]
    back = round_trip(model, tmp_path, trusted=names)
    assert_array_equal(back.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("name", META)
def test_meta_estimators(name, tmp_path):
    model = META[name]()
    unfitted = round_trip(model, tmp_path)
    assert repr(unfitted) == repr(model)
    back = round_trip(model.fit(FRAME, LABELS), tmp_path)
    assert_array_equal(back.predict(FRAME), model.predict(FRAME))
    if hasattr(model, "predict_proba"):
        expected = model.predict_proba(FRAME)
        assert_array_equal(back.predict_proba(FRAME), expected)
    for attribute in ("best_params_", "best_score_", "n_splits_"):
        expected = getattr(model, attribute, None)
        assert repr(getattr(back, attribute, None)) == repr(expected)
    assert_array_equal(back.fit(FRAME, LABELS).predict(FRAME), model.predict(FRAME))


def test_estimators_of_others_around_a_model(tmp_path):
    model = Foreign(make(skfm.FMClassifier).fit(X, LABELS))
    with pytest.raises(TypeError, match=r"Foreign cannot be saved"):
        skfm.save(model, tmp_path / "model.skfm")
    assert not list(tmp_path.iterdir())


def test_skops_trusts_no_more_than_the_class():
    model = CalibratedClassifierCV(_small(solver="sgd"), cv=2).fit(FRAME, LABELS)
    data = skops_io.dumps(model)
    trusted = skops_io.get_untrusted_types(data=data)
    own = [name for name in trusted if name.startswith("skfm")]
    assert own == ["skfm.models.fm.FMClassifier"]
    back = skops_io.loads(data, trusted=trusted)
    assert_array_equal(back.predict_proba(FRAME), model.predict_proba(FRAME))


def test_states_that_skops_loads_are_checked():
    state = make(skfm.FMClassifier).fit(X, LABELS).__getstate__()
    with pytest.raises(FileFormatError, match="it is not a FMRegressor"):
        skfm.FMRegressor().__setstate__(state)
    (name, data), damaged = *state.items(), skfm.FMClassifier()
    with pytest.raises(FileFormatError, match="FMClassifier cannot be loaded"):
        damaged.__setstate__({name: data[:-1]})
    assert not hasattr(damaged, "network_")


def test_states_of_what_no_file_can_hold():
    class Own(skfm.FMClassifier):
        pass

    def loss(scores, target):
        return (scores - target).square()

    assert Own(n_factors=3).__getstate__()["n_factors"] == 3
    assert skfm.FMRegressor(loss=loss).__getstate__()["loss"] is loss


def test_a_member_that_the_file_lacks(tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(META["calibrated"](), path)
    document, arrays = parts_of(path)
    document["estimator"]["composed"]["members"] = []
    sign(path, document, arrays)
    with pytest.raises(FileFormatError, match="not valid"):
        skfm.load(path)


def test_without_skops(tmp_path, monkeypatch):
    model = make_pipeline(OneHotEncoder(), make(skfm.FMClassifier))
    skfm.save(model.fit(FRAME, LABELS), tmp_path / "model.skfm")
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"Saving a OneHot.*skfm\[skops\]"):
        skfm.save(model, tmp_path / "other.skfm")
    with pytest.raises(ImportError, match=r"skfm\[skops\]"):
        skfm.load(tmp_path / "model.skfm")
