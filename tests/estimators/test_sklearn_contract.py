"""scikit-learn's own checks, on every estimator with its default parameters.

Estimators share what these checks are about with the others of their task and of their
kind of look-up: `make test` checks some of each, `make test-all` all others.
"""

import pytest
from common_cases import ESTIMATORS
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

import skfm
from skfm.estimators.sampled import SampledModel

#: Some checks pass numbers about 300 as they are, without a scaler: deep networks that
#: multiply them are then rightly said to be worse than a constant. No check knows qid.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::skfm.exceptions.{name}")
    for name in ("WorseThanConstantWarning", "SingleQueryWarning")
]

#: The factorization machines, and an estimator of each other kind of look-up, of which
#: one network is trained instead of four.
REPRESENTATIVES = [
    cls() if issubclass(cls, SampledModel) else cls(n_members=1)
    for cls in [*ESTIMATORS, skfm.FMRanker]
]
NAMES = [n for n in skfm.__all__ if n.endswith(("Classifier", "Ranker", "Regressor"))]
ALL = [getattr(skfm, name)() for name in NAMES]
OTHERS = [e for e in ALL if repr(e) not in map(repr, REPRESENTATIVES)]


@parametrize_with_checks(REPRESENTATIVES)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(OTHERS)
def test_estimator_checks_of_the_other_estimators(estimator, check):
    check(estimator)


# Checks that check_estimator does not run.
@pytest.mark.parametrize(
    "estimator",
    [*REPRESENTATIVES, *(pytest.param(e, marks=pytest.mark.slow) for e in OTHERS)],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_checks_outside_check_estimator(estimator, check):
    check(type(estimator).__name__, estimator)
