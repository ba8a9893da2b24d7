"""Arguments and cells that other libraries take are refused with what to do."""

import numpy as np
import pytest
from estimator_cases import LABELS, X, make

import skfm


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("eval_set", "Pass X_val and y_val"),
        ("init_score", "Pass offset"),
        ("group", "Pass qid"),
        ("callbacks", "Pass them to set_callbacks"),
        ("epochs", "Set the parameter max_iter"),
        ("n_factors", "Set the parameter n_factors"),
    ],
)
@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
def test_arguments_of_other_libraries(cls, name, remedy):
    message = rf"{cls.__name__}\.fit\(\) has no argument {name}. {remedy}"
    with pytest.raises(TypeError, match=message):
        make(cls).fit(X, LABELS, **{name: [(X, LABELS)]})
    message = rf"{cls.__name__}\.fit\(\) got an unexpected keyword argument 'evil_set'"
    with pytest.raises(TypeError, match=message):
        make(cls).fit(X, LABELS, evil_set=0)


@pytest.mark.parametrize(
    "cells",
    [
        [["a"], ["b"]] * 5,
        np.array([["a"], ["b"]] * 5),
        np.array([["a"], ["b"]] * 5, dtype=object),
    ],
    ids=["list", "array of strings", "array of objects"],
)
def test_strings_without_a_table(cells):
    with pytest.raises(ValueError, match='Set categorical_features="all"'):
        make(skfm.FMClassifier).fit(cells, [0, 1] * 5)
    make(skfm.FMClassifier, categorical_features="all").fit(cells, [0, 1] * 5)
