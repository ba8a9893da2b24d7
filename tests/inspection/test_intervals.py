"""Credible intervals of terms, strengths and weights against the samples themselves."""

import numpy as np
import pytest
from estimator_cases import CELLS, SIZES, X, fitted
from numpy.testing import assert_allclose

import skfm
from skfm.inspection import explain, interaction_strength, linear_weights

FIELDS = np.repeat(np.arange(3), SIZES)
FIRST, SECOND = np.flatnonzero(FIELDS == 0), np.flatnonzero(FIELDS == 1)
DENSE = X.toarray()


@pytest.fixture(scope="module", params=[1, 2], ids=["one output", "two outputs"])
def model(request):
    y = 3.0 * (CELLS[:, 0] == CELLS[:, 1]) + CELLS[:, 2]
    both = np.column_stack([y, 20 - 2 * y])[:, : request.param].squeeze()
    return skfm.FMRegressor(fields=SIZES, max_iter=24, random_state=0).fit(X, both)


def parameters(model):
    """Factors (n_columns, S, C, k), weights (n_columns, S, C), intercepts, units."""
    network = model.network_
    size = DENSE.shape[1], *network.offsets.shape
    factors = network.factors.numpy().astype(float).reshape(*size, -1)
    factors *= size[1] ** 0.5
    linear = network.table.weight.linear.numpy().astype(float).reshape(size)
    scale = np.atleast_1d(model.y_scale_)
    intercept = (network.offsets + network.bias).detach().numpy()
    shift = np.atleast_1d(model.y_mean_)
    return factors, linear * scale, intercept * scale + shift, scale


def products(model):
    """Product of the factors of each two columns, (n_columns, n_columns, S, C)."""
    factors, _, _, scale = parameters(model)
    return np.einsum("isca,jsca->ijsc", factors, factors) * scale


def assert_intervals(frame, name, draws, share):
    """Compare a frame with draws (n, S, C), whose outputs follow each other."""
    tails = (1 - share) / 2, (1 + share) / 2
    lower, upper = np.quantile(draws, tails, axis=1)
    for column, values in (
        (name, draws.mean(axis=1)),
        ("lower", lower),
        ("upper", upper),
    ):
        assert_allclose(frame[column], values.T.ravel(), rtol=1e-4, atol=1e-5)


def test_the_parameters_are_those_that_score(model):
    _, linear, intercept, _ = parameters(model)
    both = np.einsum("bi,bj,ijsc->bsc", DENSE, DENSE, products(model))
    own = np.einsum("bi,iisc->bsc", DENSE**2, products(model))
    linear = np.einsum("bi,isc->bsc", DENSE, linear)
    expected = linear + intercept + 0.5 * (both - own)
    found = model.posterior_scores(X)
    assert_allclose(found.reshape(expected.shape), expected, atol=1e-4)


def test_weights(model):
    found = linear_weights(model, credible_interval=0.8)
    assert_intervals(found, "weight", parameters(model)[1], 0.8)
    assert found["column"][:12].tolist() == model.column_names_.tolist()
    plain = linear_weights(model)
    assert_allclose(plain["weight"], np.ravel(model.coef_))
    assert "lower" not in plain


def test_weights_are_in_the_units_of_the_columns():
    rng = np.random.default_rng(0)
    numbers = rng.normal([100.0, -3.0, 0.0], [20.0, 0.1, 5.0], size=(80, 3))
    y = numbers[:, 0] + numbers[:, 1] * numbers[:, 2]
    model = skfm.FMRegressor(max_iter=24, random_state=0).fit(numbers, y)
    # Rows with one entry other than zero have no pairs.
    scores = model.posterior_scores(np.vstack([np.zeros(3), np.eye(3)]))
    found = linear_weights(model, credible_interval=0.8)
    assert_allclose(found["weight"], model.coef_)
    for column, draws in enumerate(scores[1:] - scores[0]):
        row = found.loc[column, ["weight", "lower", "upper"]].astype(float)
        expected = [draws.mean(), *np.quantile(draws, [0.1, 0.9])]
        assert_allclose(row, expected, rtol=1e-3, atol=1e-3)


def test_terms(model):
    rows = X[:5]
    found = explain(model, rows, credible_interval=0.6)
    if "output" in found:
        found = found.sort_values("output", kind="stable")
    _, linear, intercept, _ = parameters(model)
    bias = found[found["kind"] == "bias"]
    assert_intervals(bias, "contribution", np.tile(intercept, (5, 1, 1)), 0.6)
    entries = rows.indices.reshape(5, 3)
    own = found[found["kind"] == "linear"]
    assert_intervals(own, "contribution", linear[entries.ravel()], 0.6)
    between = products(model)
    for _, term in found[found["kind"] == "pair"].iterrows():
        i, j = (int(term[side][1:]) for side in ("first", "second"))
        draws = between[i, j, :, term.get("output", 0)]
        low, high = np.quantile(draws, [0.2, 0.8])
        expected = [draws.mean(), low, high]
        assert_allclose(
            term[["contribution", "lower", "upper"]].astype(float),
            expected,
            rtol=1e-4,
            atol=1e-5,
        )
    plain = explain(model, rows)
    assert_allclose(
        plain["contribution"],
        explain(model, rows, credible_interval=0.6)["contribution"],
        rtol=1e-5,
    )


def test_the_largest_pairs_are_those_of_the_mean(model):
    few = explain(model, X[:5], max_pairs=1, credible_interval=0.6)
    plain = explain(model, X[:5], max_pairs=1)
    columns = ["kind", "first", "second"]
    assert few[columns].equals(plain[columns])


def terms_of_fields(model):
    """Pair term of the first two fields in each row, (n_rows, S, C)."""
    first, second = DENSE[:, FIRST], DENSE[:, SECOND]
    between = products(model)[np.ix_(FIRST, SECOND)]
    return np.einsum("bi,bj,ijsc->bsc", first, second, between)


def assert_strength(found, cell, strengths, share):
    tails = (1 - share) / 2, (1 + share) / 2
    expected = [strengths.mean(), *np.quantile(strengths, tails)]
    values = [found[name].iloc[cell] for name in ("mean", "lower", "upper")]
    assert_allclose(values, expected, rtol=1e-4)


def test_strengths_over_rows(model):
    found = interaction_strength(model, X, credible_interval=0.8)
    terms = terms_of_fields(model)
    assert_strength(found, (0, 1), terms.var(axis=0).mean(axis=1), 0.8)
    plain = interaction_strength(model, X)
    expected = terms.mean(axis=1).var(axis=0).mean()
    assert_allclose(plain.iloc[0, 1], expected, rtol=1e-4)
    assert np.all(plain <= found["mean"] + 1e-9)


def test_strengths_without_rows(model):
    found = interaction_strength(model, credible_interval=0.8)
    # Each combination of two columns, weighted as if their fields were independent.
    shares = DENSE.mean(axis=0)
    weight = np.outer(shares[FIRST], shares[SECOND])[:, :, None, None]
    between = products(model)[np.ix_(FIRST, SECOND)]
    mean = (weight * between).sum(axis=(0, 1))
    variance = (weight * between**2).sum(axis=(0, 1)) - mean**2
    assert_strength(found, (0, 1), variance.mean(axis=1), 0.8)


@pytest.mark.parametrize("rows", [X, None], ids=["rows", "no rows"])
def test_strengths_by_feature(model, rows):
    found = interaction_strength(model, rows, by="feature", credible_interval=0.5)
    i, j = FIRST[0], SECOND[1]
    squares = (products(model)[i, j] ** 2).mean(axis=1)
    share = (DENSE[:, i] * DENSE[:, j]).mean()
    if rows is None:
        share = DENSE[:, i].mean() * DENSE[:, j].mean()
    assert_strength(found, (i, j), squares * (share - share**2), 0.5)


@pytest.mark.parametrize(
    "inspect",
    [
        lambda model, share: explain(model, X[:1], credible_interval=share),
        lambda model, share: interaction_strength(model, X, credible_interval=share),
        lambda model, share: linear_weights(model, credible_interval=share),
    ],
    ids=["explain", "strength", "weights"],
)
def test_intervals_are_refused(inspect):
    with pytest.raises(ValueError, match=r'fit an FMClassifier.*solver="bayes"'):
        inspect(fitted(skfm.FMClassifier), 0.9)
    with pytest.raises(ValueError, match="credible_interval"):
        inspect(fitted(skfm.FMClassifier), 90)


def test_terms_of_a_bayesian_classifier_add_up_to_the_mean_of_its_scores():
    y = CELLS[:, 0] == CELLS[:, 1]
    model = skfm.FMClassifier(fields=SIZES, max_iter=24, random_state=0).fit(X, y)
    assert model.solver_ == "bayes"
    total = explain(model, X).groupby("row")["contribution"].sum()
    scores = model.posterior_scores(X)
    assert_allclose(total, scores.mean(axis=1), atol=1e-4)
    mean = (1 / (1 + np.exp(-scores))).mean(axis=1)
    log_odds = np.log(mean / (1 - mean))
    assert_allclose(model.decision_function(X), log_odds, atol=1e-4)
    assert np.abs(total - log_odds).max() > 0.01
