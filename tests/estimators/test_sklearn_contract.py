"""scikit-learn's own checks, on every estimator with its default parameters."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

import skfm

NAMES = [n for n in skfm.__all__ if n.endswith(("Classifier", "Ranker", "Regressor"))]
ESTIMATORS = [getattr(skfm, name)() for name in NAMES]


@parametrize_with_checks(ESTIMATORS)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_checks_outside_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)
