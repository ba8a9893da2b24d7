"""Factorization machines fitted by the Bayesian solver, as their users meet them."""

import pickle
import warnings

import numpy as np
import pytest
from bayesian_cases import (
    CLASSES,
    LABELS,
    N_ROWS,
    NOISE,
    NUMBER,
    SCORE,
    TABLE,
    TEST,
    TRAIN,
    USER,
    Y,
    make,
    one_hot,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.model_selection import cross_val_score

import skfm
from skfm.exceptions import ConvergenceWarning
from skfm.inspection import explain


@pytest.fixture(scope="module")
def regressor():
    return make(skfm.FMRegressor).fit(TABLE.iloc[TRAIN], Y[TRAIN])


@pytest.fixture(scope="module")
def classifier():
    return make(skfm.FMClassifier).fit(TABLE.iloc[TRAIN], LABELS[TRAIN])


@pytest.fixture(scope="module")
def multiclass():
    return make(skfm.FMClassifier).fit(TABLE.iloc[TRAIN], CLASSES[TRAIN])


@pytest.fixture(params=["regressor", "classifier", "multiclass"])
def fitted(request):
    return request.getfixturevalue(request.param)


def outcome(model, X):
    return (
        model.decision_function(X) if hasattr(model, "classes_") else model.predict(X)
    )


def test_auto_is_bayes_and_learns(regressor, classifier, multiclass):
    assert {m.solver_ for m in (regressor, classifier, multiclass)} == {"bayes"}
    assert regressor.score(TABLE.iloc[TEST], Y[TEST]) > 0.8
    assert classifier.score(TABLE.iloc[TEST], LABELS[TEST]) > 0.85
    assert multiclass.score(TABLE.iloc[TEST], CLASSES[TEST]) > 0.7


def test_probabilities_are_the_means_over_the_samples(classifier, multiclass):
    X = TABLE.iloc[TEST]
    samples = classifier.posterior_scores(X)
    assert samples.shape == (len(X), classifier.network_.shape.n_samples)
    mean = expit(samples).mean(axis=1)
    assert_allclose(classifier.predict_proba(X)[:, 1], mean, atol=1e-6)
    assert_allclose(expit(classifier.decision_function(X)), mean, atol=1e-6)
    samples = multiclass.posterior_scores(X)
    shares = np.exp(samples - samples.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    assert_allclose(multiclass.predict_proba(X), shares.mean(axis=1), atol=1e-6)


def test_the_prediction_is_the_equation_of_the_attributes():
    X = one_hot()
    model = make(skfm.FMRegressor).fit(X, Y)
    V = model.factors_.astype(np.float64)
    pairs = 0.5 * ((X @ V) ** 2 - X.multiply(X) @ V**2).sum(axis=1)
    expected = model.intercept_ + X @ model.coef_ + model.y_scale_ * pairs
    assert_allclose(model.predict(X), expected, atol=1e-5)
    assert_allclose(model.posterior_scores(X).mean(axis=1), expected, atol=1e-5)


def test_uncertainty_covers(regressor):
    X = TABLE.iloc[TEST]
    mean, std = regressor.predict(X, return_std=True)
    assert_array_equal(mean, regressor.predict(X))
    low, middle, high = regressor.predict_quantiles(X, (0.05, 0.5, 0.95)).T
    assert np.all((low < middle) & (middle < high))
    assert 0.8 < np.mean((low < Y[TEST]) & (Y[TEST] < high)) <= 1
    assert_allclose((high - low) / (2 * 1.645), std, rtol=0.15)
    samples = regressor.posterior_scores(X)
    noise = regressor.y_scale_ * regressor.network_.noise.numpy()[:, 0]
    assert_allclose(std**2, samples.var(axis=1) + np.mean(noise**2), rtol=1e-5)
    assert 0.5 * NOISE < noise.mean() < 2 * NOISE


def test_a_quantile_is_one_of_the_mixture(regressor):
    from scipy.stats import norm

    X = TABLE.iloc[TEST[:5]]
    noise = regressor.y_scale_ * regressor.network_.noise.numpy()[:, 0]
    found = regressor.predict_quantiles(X, [0.1, 0.8])
    for level, at in zip((0.1, 0.8), found.T, strict=True):
        below = norm.cdf((at[:, None] - regressor.posterior_scores(X)) / noise)
        assert_allclose(below.mean(axis=1), level, atol=1e-6)


@pytest.mark.parametrize("quantiles", [[0.0, 0.5], [1.5], [[0.5]]])
def test_quantiles_are_checked(regressor, quantiles):
    with pytest.raises(ValueError, match="quantiles must be numbers above 0"):
        regressor.predict_quantiles(TABLE, quantiles)


def test_an_unknown_category_widens_the_prediction(regressor):
    known = TABLE.iloc[TEST[:20]]
    unknown = known.assign(user="new", item="new")
    _, narrow = regressor.predict(known, return_std=True)
    _, wide = regressor.predict(unknown, return_std=True)
    assert wide.mean() > 1.3 * narrow.mean()


def test_copies_and_files_predict_the_same(fitted, tmp_path):
    X = TABLE.iloc[TEST]
    skfm.save(fitted, tmp_path / "model.skfm")
    loaded = skfm.load(tmp_path / "model.skfm")
    for copy in (pickle.loads(pickle.dumps(fitted)), loaded):
        assert_array_equal(outcome(copy, X), outcome(fitted, X))
        assert copy.solver_ == "bayes"
        assert copy.diagnostics_["n_iter"] == fitted.n_iter_


def test_the_predictor_agrees(fitted):
    X = TABLE.iloc[TEST]
    predictor = fitted.compile_predictor()
    assert_allclose(outcome_of(predictor, fitted, X), outcome(fitted, X), atol=1e-6)
    rows = X.head(3).to_dict("records")
    found = outcome_of(predictor, fitted, rows)
    assert_allclose(found, outcome(fitted, X.head(3)), atol=1e-6)


def outcome_of(predictor, model, rows):
    if hasattr(model, "classes_"):
        return predictor.decision_function(rows)
    return predictor.predict(rows)


def test_explanations_add_up_to_the_mean_score(fitted):
    X = TABLE.iloc[TEST[:6]]
    terms = explain(fitted, X)
    scores = fitted.posterior_scores(X)
    mean = scores.mean(axis=1)
    by = ["row", "output"] if "output" in terms.columns else ["row"]
    total = terms.groupby(by)["contribution"].sum().to_numpy()
    assert_allclose(total, mean.ravel(), atol=1e-5)


@pytest.mark.parametrize("solver", ["auto", "bayes"])
def test_weights_repetition_and_order_are_all_one(solver):
    X, rng = one_hot(), np.random.default_rng(0)
    weight = rng.integers(0, 3, N_ROWS)
    times = np.repeat(np.arange(N_ROWS), weight)
    order = rng.permutation(len(times))
    weighted = make(skfm.FMClassifier, solver=solver, max_iter=20)
    weighted.fit(X, LABELS, sample_weight=weight)
    repeated = make(skfm.FMClassifier, solver=solver, max_iter=20)
    repeated.fit(X[times[order]], LABELS[times[order]])
    assert_array_equal(weighted.decision_function(X), repeated.decision_function(X))


def test_threads_change_nothing():
    one, two = (
        make(skfm.FMClassifier, max_iter=20, n_jobs=n).fit(TABLE, LABELS)
        for n in (1, 2)
    )
    for name, array in one.network_.arrays().items():
        assert_array_equal(array, two.network_.arrays()[name])


def test_the_unit_of_a_column_does_not_matter():
    X = np.column_stack([NUMBER, SCORE - NUMBER])
    scaled = X * [1e6, 2.0**-20]
    one = make(skfm.FMRegressor).fit(X, Y).predict(X)
    other = make(skfm.FMRegressor).fit(scaled, Y).predict(scaled)
    # Rows are keyed by their content: the chains differ, their means hardly.
    assert_allclose(one, other, atol=0.1)
    assert np.corrcoef(one, Y)[0, 1] > 0.8


def test_held_out_rows_are_scored_but_stop_nothing():
    model = make(skfm.FMClassifier, max_iter=30).fit(
        TABLE.iloc[TRAIN],
        LABELS[TRAIN],
        X_val=TABLE.iloc[TEST],
        y_val=LABELS[TEST],
    )
    plain = make(skfm.FMClassifier, max_iter=30).fit(TABLE.iloc[TRAIN], LABELS[TRAIN])
    assert len(model.validation_scores_) == model.n_iter_ == plain.n_iter_
    assert model.validation_scores_[-1] > np.log(0.5)
    X = TABLE.iloc[TEST]
    assert_array_equal(model.decision_function(X), plain.decision_function(X))


HARD = {
    "separable": (one_hot(), (USER % 2 == 0).astype(int)),
    "one row of each class": (one_hot()[:2], np.array([0, 1])),
    "an outlier": (np.column_stack([NUMBER, np.r_[1e9, NUMBER[1:]]]), LABELS),
    "large numbers": (1e12 * np.column_stack([NUMBER, SCORE]), LABELS),
    "rare positives": (one_hot(), (np.arange(N_ROWS) < 2).astype(int)),
}


@pytest.mark.parametrize("case", HARD)
def test_hard_classification(case):
    X, y = HARD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        proba = make(skfm.FMClassifier, max_iter=30).fit(X, y).predict_proba(X)
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1)


@pytest.mark.parametrize(
    "y",
    [np.full(N_ROWS, 3.0), np.r_[1e9, Y[1:]], 1e12 + Y],
    ids=["constant", "an outlier", "far from zero"],
)
def test_hard_regression(y):
    X = one_hot()
    prediction, std = make(skfm.FMRegressor, max_iter=30).fit(X, y).predict(X, True)
    assert np.isfinite(prediction).all()
    assert np.isfinite(std).all()
    assert abs(prediction.mean() - y.mean()) < max(0.01, y.std())


def test_several_outputs():
    both = np.column_stack([Y, -2 * Y + 1])
    model = make(skfm.FMRegressor).fit(TABLE, both)
    assert model.predict(TABLE).shape == both.shape
    assert model.score(TABLE, both) > 0.8
    mean, std = model.predict(TABLE, return_std=True)
    assert mean.shape == std.shape == both.shape
    assert model.predict_quantiles(TABLE).shape == (N_ROWS, 3, 2)


def test_cross_validation():
    scores = cross_val_score(make(skfm.FMClassifier, max_iter=30), TABLE, LABELS, cv=3)
    assert scores.mean() > 0.8
