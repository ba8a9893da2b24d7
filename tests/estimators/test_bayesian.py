"""Factorization machines fitted by the Bayesian solver, as their users meet them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning
from sklearn.model_selection import cross_val_score

import skfm
from skfm.exceptions import ConvergenceWarning, IgnoredParameterWarning
from skfm.inspection import explain

N_USERS, N_ITEMS, N_ROWS = 12, 9, 500
_rng = np.random.default_rng(0)
USER, ITEM = _rng.integers(N_USERS, size=N_ROWS), _rng.integers(N_ITEMS, size=N_ROWS)
NUMBER = _rng.normal(size=N_ROWS)
SCORE = _rng.normal(size=N_USERS)[USER] * _rng.normal(size=N_ITEMS)[ITEM] + NUMBER
NOISE = 0.3
Y = SCORE + NOISE * _rng.normal(size=N_ROWS)
LABELS = np.where(SCORE > 0, "yes", "no")
CLASSES = np.digitize(SCORE, [-0.7, 0.7])
TABLE = pd.DataFrame({"user": USER.astype(str), "item": ITEM.astype(str), "x": NUMBER})
TRAIN, TEST = np.arange(400), np.arange(400, N_ROWS)


def one_hot():
    columns = np.column_stack([USER, N_USERS + ITEM]).ravel()
    indptr = np.arange(N_ROWS + 1) * 2
    shape = N_ROWS, N_USERS + N_ITEMS
    return sp.csr_array((np.ones(2 * N_ROWS), columns, indptr), shape=shape)


def make(cls, **parameters):
    return cls(**{"max_iter": 60, "random_state": 0, **parameters})


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


def test_a_warm_start_goes_on():
    whole = make(skfm.FMRegressor, max_iter=40, warm_start=True).fit(TABLE, Y)
    parts = make(skfm.FMRegressor, max_iter=20, warm_start=True).fit(TABLE, Y)
    parts.fit(TABLE, Y)
    assert parts.n_iter_ == whole.n_iter_ == 40
    assert len(parts.loss_curve_) == 40
    assert_allclose(parts.predict(TABLE), whole.predict(TABLE), atol=0.2)
    with pytest.raises(ValueError, match="n_factors changed"):
        parts.set_params(n_factors=3).fit(TABLE, Y)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("y", [Y, LABELS, CLASSES], ids=["numbers", "two", "three"])
def test_a_warm_start_goes_on_from_samples(y, kept):
    cls = skfm.FMRegressor if y is Y else skfm.FMClassifier
    # There are no chains to continue, or another number of them.
    model = make(cls, max_iter=40, warm_start=kept).fit(TABLE, y)
    before = model.score(TABLE, y)
    model.set_params(warm_start=True, max_iter=1, n_chains=3).fit(TABLE, y)
    assert model.n_iter_ == len(model.loss_curve_) == 41
    first, *_, last, following = model.loss_curve_
    assert following - last < 0.2 * (first - last)
    assert model.score(TABLE, y) > before - 0.1


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


class TestTheChoice:
    @pytest.mark.parametrize(
        ("parameters", "solver"),
        [
            ({}, "bayes"),
            ({"solver": "sgd"}, "sgd"),
            ({"alpha_factors": 0.003}, "sgd"),
            ({"batch_size": "auto"}, "sgd"),
            ({"early_stopping": False}, "sgd"),
            ({"clip_norm": 1.0}, "sgd"),
            ({"freeze": True}, "sgd"),
            ({"loss": "hinge"}, "sgd"),
        ],
        ids=str,
    )
    def test_auto(self, parameters, solver):
        model = make(skfm.FMClassifier, max_iter=3, **parameters)
        assert model.fit(one_hot(), LABELS).solver_ == solver

    def test_auto_says_why(self, capsys):
        make(skfm.FMClassifier, max_iter=1, tol=0.1, verbose=1).fit(one_hot(), LABELS)
        assert 'solver=sgd: "bayes" does not read tol' in capsys.readouterr().out
        make(skfm.FMClassifier, max_iter=1, verbose=1).fit(one_hot(), LABELS)
        told = capsys.readouterr().out
        work = f"{2 * N_ROWS * 2:.1e}"  # entries, iterations and chains
        assert f"solver=bayes: to do {work} non-zeros x" in told
        assert "at most (of 6e+09) and keep 0.0 GiB of samples (of 2)" in told

    def test_large_data_go_to_the_stochastic_solver(self, monkeypatch):
        monkeypatch.setattr(
            "skfm.estimators.solver_choice.BUDGET", 2 * N_ROWS * 2 * 3 - 1
        )
        model = make(skfm.FMClassifier, max_iter=3).fit(one_hot(), LABELS)
        assert model.solver_ == "sgd"
        monkeypatch.setattr("skfm.estimators.solver_choice.BUDGET", 2 * N_ROWS * 2 * 3)
        assert model.fit(one_hot(), LABELS).solver_ == "bayes"
        monkeypatch.setattr("skfm.estimators.solver_choice.TABLE_BUDGET", 1)
        assert model.fit(one_hot(), LABELS).solver_ == "sgd"

    @pytest.mark.parametrize(
        ("cls", "parameters", "message"),
        [
            (skfm.FMRegressor, {"loss": "poisson"}, "no loss='poisson'"),
            (skfm.FMClassifier, {"loss": "hinge"}, "no loss='hinge'"),
            (skfm.FMClassifier, {"freeze": True}, "no freeze"),
            (skfm.FMClassifier, {"checkpoint": "x"}, "no checkpoint"),
        ],
    )
    def test_bayes_refuses_what_it_cannot_do(self, cls, parameters, message):
        y = LABELS if cls is skfm.FMClassifier else np.abs(Y)
        model = make(cls, solver="bayes", **parameters)
        with pytest.raises(ValueError, match=message):
            model.fit(one_hot(), y)
        assert not hasattr(model, "network_")

    def test_bayes_warns_of_parameters_that_it_does_not_read(self):
        model = make(skfm.FMClassifier, solver="bayes", max_iter=3, learning_rate=0.1)
        with pytest.warns(IgnoredParameterWarning, match="does not read learning_rate"):
            model.fit(one_hot(), LABELS)
        assert model.solver_ == "bayes"

    def test_partial_fit_is_stochastic(self):
        model = make(skfm.FMClassifier)
        model.partial_fit(one_hot(), LABELS, classes=["no", "yes"])
        assert model.solver_ == "sgd"
        with pytest.raises(ValueError, match="no partial_fit"):
            make(skfm.FMClassifier, solver="bayes").partial_fit(
                one_hot(), LABELS, classes=["no", "yes"]
            )

    @pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["two", "three"])
    def test_partial_fit_goes_on_from_samples(self, y):
        X = one_hot()
        model = make(skfm.FMClassifier).fit(X, y)
        before = model.score(X, y)
        for _ in range(20):
            model.partial_fit(X, y)
        assert model.solver_ == "sgd"
        assert model.score(X, y) > before - 0.1

    def test_what_only_samples_tell(self):
        model = make(skfm.FMRegressor, solver="sgd", max_iter=3).fit(one_hot(), Y)
        with pytest.raises(AttributeError, match='set solver="bayes"'):
            model.posterior_scores(one_hot())
        with pytest.raises(AttributeError, match='set solver="bayes"'):
            model.predict(one_hot(), return_std=True)

    @pytest.mark.parametrize("quantiles", [[0.0, 0.5], [1.5], [[0.5]]])
    def test_quantiles_are_checked(self, regressor, quantiles):
        with pytest.raises(ValueError, match="quantiles must be numbers above 0"):
            regressor.predict_quantiles(TABLE, quantiles)


def test_chains_that_disagree_warn(monkeypatch):
    monkeypatch.setattr("skfm.estimators.bayesian._DISAGREE", 0.9)
    monkeypatch.setattr("skfm.estimators.bayesian._APART", 0.0)
    with pytest.warns(ConvergenceWarning, match=r"split R-hat is \d.*Raise max_iter"):
        make(skfm.FMRegressor, max_iter=20).fit(TABLE, Y)
    assert issubclass(ConvergenceWarning, SklearnConvergenceWarning)


class Stop(KeyboardInterrupt):
    pass


def stop_at(monkeypatch, iteration):
    from skfm.sampling.chain import Chain

    original = Chain.step

    def step(chain):
        original(chain)
        if chain.iteration > iteration:
            raise Stop

    monkeypatch.setattr(Chain, "step", step)


def test_an_interrupted_fit_keeps_its_samples(monkeypatch):
    stop_at(monkeypatch, 40)
    model = make(skfm.FMRegressor)
    with pytest.raises(Stop):
        model.fit(TABLE, Y)
    assert model.n_iter_ == 40
    assert model.score(TABLE, Y) > 0.8


def test_a_fit_interrupted_at_once_leaves_nothing(monkeypatch):
    stop_at(monkeypatch, 0)
    model = make(skfm.FMRegressor)
    with pytest.raises(Stop):
        model.fit(TABLE, Y)
    assert vars(model) == vars(make(skfm.FMRegressor))


@pytest.mark.parametrize("iteration", [10, 40])
def test_parameters_that_are_not_finite_end_the_fit(monkeypatch, iteration):
    from skfm.sampling.chain import Chain

    original = Chain.step

    def step(chain):
        if chain.iteration == iteration:
            chain.machines[0].table[3] = np.inf
        original(chain)

    monkeypatch.setattr(Chain, "step", step)
    model = make(skfm.FMRegressor)
    with pytest.raises(FloatingPointError, match="parameters of column 'user_"):
        model.fit(TABLE, Y)
    # Until the first sample is kept there is nothing else than what has failed.
    assert hasattr(model, "network_") == (iteration == 40)
    if iteration == 40:
        assert model.n_iter_ == 40
        assert model.score(TABLE, Y) > 0.8


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
