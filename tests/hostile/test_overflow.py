"""Numbers that are too large: an error, and never a result that is not finite."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import LABELS, NUMBERS, X, make

import skfm
from skfm.data.negatives import Unknown
from skfm.recommendation import recommend

NOT_FINITE = "not a finite number"


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_predictions_beyond_the_floats(loss):
    model = make(skfm.FMRegressor, loss=loss, dtype="float64").fit(X, 1 + NUMBERS**2)
    rows = np.zeros((2, X.shape[1]))
    rows[1, 0] = 1e6 * np.sign(model.coef_[0])
    predictor = model.compile_predictor()
    assert np.log(model.predict(rows[:1]))[0] == model.intercept_
    for predict, form in ((model.predict, np.array), (predictor.predict, sp.csr_array)):
        with pytest.raises(ValueError, match=f"prediction of row 1 is {NOT_FINITE}"):
            predict(form(rows))


def test_scores_of_a_target_beyond_the_floats(bayesian):
    assert np.isfinite(bayesian.score(X, NUMBERS))
    for factor in (1e160, 1e307):
        with pytest.raises(ValueError, match="too large to be added up"):
            bayesian.score(X, NUMBERS * factor)


@pytest.fixture(scope="module")
def bayesian():
    return skfm.FMRegressor(max_iter=4, random_state=0).fit(X, NUMBERS)


@pytest.mark.parametrize(
    "read",
    [
        lambda model, X: model.predict(X, return_std=True),
        lambda model, X: model.predict_quantiles(X),
        lambda model, X: model.posterior_scores(X),
    ],
    ids=["std", "quantiles", "samples"],
)
def test_uncertainty_beyond_the_floats(bayesian, read):
    assert np.isfinite(np.hstack(read(bayesian, X[:3]))).all()
    with pytest.raises(ValueError, match=NOT_FINITE):
        read(bayesian, np.full((1, X.shape[1]), 1e200))


@pytest.mark.parametrize("price", [1e38, -1e38, np.nan])
@pytest.mark.parametrize("place", [0, 2])
def test_recommendations_leave_no_item_out_silently(price, place):
    numbers = pd.DataFrame(X[:, :2].toarray(), columns=["user", "price"])
    numbers["item"] = np.arange(len(numbers))
    model = make(skfm.FMRegressor, categorical_features=None, dtype="float32")
    model.fit(numbers, NUMBERS)
    items = pd.DataFrame({"item": [1, 2, 3], "price": [1.0, 2.0, 3.0]})
    assert len(recommend(model, [1.0], items, n=1)) == 1
    items.loc[place, "price"] = price
    with pytest.raises(ValueError, match=NOT_FINITE):
        recommend(model, [1.0], items, n=1)


@pytest.mark.parametrize("offset", [1e39, -1e300, 10**400])
def test_offsets_beyond_the_scores(offset):
    model = make(skfm.FMClassifier).fit(X, LABELS)
    before = dict(vars(model))
    offsets = [0.0] * len(LABELS)
    offsets[3] = offset
    with pytest.raises(ValueError, match=r"offset.*too large"):
        model.fit(X, LABELS, offset=offsets)
    assert vars(model) == before


@pytest.mark.parametrize("power", [30, 30.0, 1e300])
def test_weights_of_items_beyond_the_integers(power):
    users, items = np.arange(40) % 20, np.zeros(40, np.int64)
    with pytest.raises(ValueError, match="pass a lower power"):
        Unknown.of(users, items, (20, 2), power)
