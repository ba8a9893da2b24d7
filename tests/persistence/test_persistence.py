"""Copies and pickles of estimators: the same predictions, and NumPy arrays only."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from common_cases import ESTIMATORS
from estimator_cases import X, fitted, make, partial_fit, scores, target
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted


def _joblib(model, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    return joblib.load(tmp_path / "model.joblib", mmap_mode="r")


ROUND_TRIPS = {
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "old pickle": lambda model, _: pickle.loads(pickle.dumps(model, protocol=2)),
    "joblib memory map": _joblib,
}


@pytest.mark.parametrize("how", ROUND_TRIPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_round_trips_predict_the_same_bits(cls, dtype, how, tmp_path):
    model = fitted(cls, dtype=dtype)
    back = ROUND_TRIPS[how](model, tmp_path)
    assert_array_equal(scores(back), scores(model))
    assert back.get_params() == model.get_params()
    assert back.loss_curve_ == model.loss_curve_
    assert_array_equal(back.factors_, model.factors_)
    assert_array_equal(back.coef_, model.coef_)


@pytest.mark.parametrize("how", ROUND_TRIPS)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_round_trips_learn_on_with_the_same_bits(cls, how, tmp_path):
    model = partial_fit(partial_fit(make(cls)))
    back = ROUND_TRIPS[how](model, tmp_path)
    partial_fit(back)
    assert np.any(scores(back) != scores(model))
    assert_array_equal(scores(back), scores(partial_fit(model)))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_round_trip_is_independent(cls):
    model = partial_fit(make(cls))
    before = scores(model)
    partial_fit(copy.deepcopy(model))
    assert_array_equal(scores(model), before)


class _NamesOnly(pickle.Unpickler):
    """Loads a pickle and remembers every global in it."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.names = set()

    def find_class(self, module, name):
        self.names.add(f"{module}.{name}")
        return super().find_class(module, name)


@pytest.mark.parametrize("parameters", [{}, {"batch_norm": True}, {"warm_start": True}])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_pickle_holds_no_torch(cls, parameters):
    if not set(parameters) <= set(cls().get_params()):
        parameters = {"optimizer": "adam"}
    unpickler = _NamesOnly(pickle.dumps(fitted(cls, **parameters)))
    unpickler.load()
    assert f"skfm.models.{_module(cls)}.{cls.__name__}" in unpickler.names
    foreign = [
        name for name in unpickler.names if name.split(".")[0] not in ("skfm", "numpy")
    ]
    assert set(foreign) <= {"collections.OrderedDict", "builtins.slice"}


def _module(cls):
    return cls.__module__.rpartition(".")[2]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_pickle_holds_no_training_data(cls):
    one = pickle.dumps(fitted(cls))
    data, y = X[np.tile(np.arange(120), 50)], np.tile(target(cls), 50)
    many = pickle.dumps(make(cls, batch_size=1600).fit(data, y))
    assert len(many) < len(one) + 200


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_clone_is_unfitted_and_fits_alike(cls):
    model = fitted(cls, fields=(4, 5, 3))
    fresh = clone(model)
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(fresh)
    with pytest.raises(ValueError, match="not fitted"):
        fresh.predict(X)
    assert fresh.get_params() == model.get_params()
    assert_array_equal(scores(fresh.fit(X, target(cls))), scores(model))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_repr_is_short(cls):
    assert repr(cls()) == f"{cls.__name__}()"
    assert repr(cls(n_factors=8)) == f"{cls.__name__}(n_factors=8)"
    assert len(repr(fitted(cls).set_params(fields=np.arange(10_000)))) < 250
