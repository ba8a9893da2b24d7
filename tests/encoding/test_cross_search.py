"""The search for crosses, on planted tables."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from skfm.encoding.crosses.additive import additive_model, fit_additive
from skfm.encoding.crosses.evidence import Residuals
from skfm.encoding.crosses.scores import Candidate
from skfm.encoding.crosses.search import CrossSearch


def table(rng, n_rows, widths):
    return np.column_stack([rng.integers(w, size=n_rows) for w in widths])


def run(codes, widths, y, *, logistic=False, seed=0, judge=None, **options):
    y = np.asarray(y, float)[:, None]
    model = additive_model(list(codes.T), widths, y, logistic=logistic)
    sources = options.pop("sources", range(len(widths)))
    search = CrossSearch(codes, widths, y, sources, **options)
    return search.run(model, np.random.RandomState(seed), judge)


def fields_of(found):
    return [candidate.fields for candidate, _ in found]


def main_effects(rng, codes, widths):
    return sum(rng.normal(size=w)[codes[:, f]] for f, w in enumerate(widths))


@pytest.mark.parametrize("logistic", [False, True])
def test_planted_pair_is_found_and_no_other(logistic):
    rng = np.random.default_rng(0)
    widths = [12, 31, 6, 40]
    codes = table(rng, 6000, widths)
    effects = rng.normal(size=(12, 31))
    score = main_effects(rng, codes, widths) + effects[codes[:, 0], codes[:, 1]]
    noise = rng.logistic(size=6000)
    y = score + noise > 0 if logistic else score + noise
    assert fields_of(run(codes, widths, y, logistic=logistic)) == [(0, 1)]


def test_planted_triple_is_found():
    rng = np.random.default_rng(1)
    widths = [5, 5, 5, 5, 5]
    codes = table(rng, 5000, widths)
    effects = rng.normal(size=(5, 5, 5))
    y = effects[codes[:, 1], codes[:, 2], codes[:, 4]] + rng.normal(size=5000)
    assert fields_of(run(codes, widths, y, max_crosses=9))[-1] == (1, 2, 4)
    assert all(set(f) <= {1, 2, 4} for f in fields_of(run(codes, widths, y)))
    assert all(len(f) == 2 for f in fields_of(run(codes, widths, y, max_degree=2)))


def test_another_model_must_lack_the_cross_or_a_triple_above_it():
    rng = np.random.default_rng(1)
    widths = [5, 5, 5, 5]
    codes = table(rng, 1500, widths)
    noise, pair = rng.normal(size=1500), rng.normal(size=(5, 5))
    effect, triples = pair[codes[:, 0], codes[:, 1]], rng.normal(size=(5, 5, 5))

    def found(lacks):
        """Crosses with a judge that explains all but one effect, and noise."""

        def judge(train, test, extras):
            left = (lacks + noise)[test, None]
            return Residuals(left / left.std(), np.ones_like(left))

        y = effect + noise
        return fields_of(run(codes, widths, y, judge=judge, max_crosses=1))

    assert found(effect) == [(0, 1)]
    assert found(np.zeros(1500)) == []
    assert found(triples[tuple(codes[:, [0, 1, 3]].T)]) == [(0, 1)]
    assert found(pair[codes[:, 2], codes[:, 3]]) == []


@pytest.mark.parametrize("logistic", [False, True])
def test_nothing_is_found_where_effects_add_up(logistic):
    """Also with fields of many rare levels, which no model gets right."""
    widths = [3000, 300, 50, 8, 4]
    n_found = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rare = [np.minimum(rng.pareto(1, 4000) * w / 20, w - 1) for w in widths]
        codes = np.column_stack(rare).astype(int)
        score = main_effects(rng, codes, widths) / 2
        noise = rng.logistic(size=4000)
        y = score + noise > 0 if logistic else score + noise
        n_found += len(run(codes, widths, y, logistic=logistic, seed=seed))
    assert n_found == 0


@pytest.mark.parametrize("noise", ["rare outcomes", "heavy tails"])
def test_nothing_is_found_in_noise_of_few_large_residuals(noise):
    widths = [3000, 800, 50, 20, 1000]
    n_found = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        codes = table(rng, 4000, widths)
        rare = noise == "rare outcomes"
        y = rng.random(4000) < 0.005 if rare else rng.standard_t(2.2, 4000)
        n_found += len(run(codes, widths, y, logistic=rare, seed=seed))
    assert n_found == 0


def test_pairs_that_repeat_enter_by_statistics_or_levels():
    rng = np.random.default_rng(2)
    widths = [600, 600, 5]
    pairs = rng.integers(600, size=(1500, 2))
    codes = np.column_stack(
        [pairs[rng.integers(1500, size=6000)], rng.integers(5, size=6000)]
    )
    tastes = rng.normal(size=(600, 600)) * 1.5
    y = tastes[codes[:, 0], codes[:, 1]] + rng.normal(size=6000)
    found = run(codes, widths, y)
    assert found[0][0].fields == (0, 1)
    by_levels = run(codes, widths, y, statistics=False)
    assert by_levels[0][0] == Candidate((0, 1), statistic=False)


def test_fields_of_one_column_are_not_crossed():
    rng = np.random.default_rng(3)
    widths = [10, 10]
    codes = table(rng, 3000, widths)
    y = rng.normal(size=(10, 10))[codes[:, 0], codes[:, 1]]
    assert fields_of(run(codes, widths, y)) == [(0, 1)]
    assert run(codes, widths, y, sources=[0, 0]) == []


def test_same_state_finds_the_same():
    rng = np.random.default_rng(4)
    widths = [8, 9, 10, 11]
    codes = table(rng, 3000, widths)
    y = rng.normal(size=(8, 9))[codes[:, 0], codes[:, 1]] + rng.normal(size=3000)
    assert run(codes, widths, y, seed=5) == run(codes, widths, y, seed=5)


def test_work_is_bounded_by_sampled_rows_and_triples():
    """The search reads few rows of a table of many columns, but enough."""
    rng = np.random.default_rng(5)
    widths = [6] * 30
    codes = table(rng, 60_000, widths)
    y = 2 * rng.normal(size=(6, 6))[codes[:, 3], codes[:, 7]] + rng.normal(size=60_000)
    seen = []

    def mean_only(train, test, extras):
        seen.append((len(train), len(test), len(extras)))
        r = (y[test] - y[train].mean()) / y.std()
        for extra in extras:
            sums = np.bincount(extra.train, y[train], extra.width)
            counts = np.bincount(extra.train, minlength=extra.width)
            r -= (sums / (counts + 1))[extra.test] / y.std()
        return Residuals(r[:, None], np.ones((len(test), 1)))

    search = CrossSearch(codes, widths, y[:, None], range(30), max_work=1000)
    found = search.run(mean_only, np.random.RandomState(0))
    assert fields_of(found)[0] == (3, 7)
    assert {(train, test) for train, test, _ in seen} == {(10_000, 10_000)}
    assert [extras for _, _, extras in seen[:4]] == [0, 0, 1, 1]


def test_model_gets_each_half_with_levels_learnt_without_its_targets():
    """The statistics of tested rows hold no target of theirs."""
    rng = np.random.default_rng(6)
    codes = rng.integers(40, size=(2000, 3))
    y = rng.normal(size=(40, 40))[codes[:, 0], codes[:, 1]] * 3 + rng.normal(size=2000)
    extras_seen = []

    def model(train, test, extras):
        assert not set(train) & set(test)
        extras_seen.append((test, extras))
        return additive_model(list(codes.T), [40] * 3, y[:, None], logistic=False)(
            train, test, extras
        )

    def last_extras(y):
        extras_seen.clear()
        search = CrossSearch(codes, [40] * 3, y[:, None], range(3), max_crosses=2)
        found = search.run(model, np.random.RandomState(0))
        assert found[0][0].statistic
        return extras_seen[2]

    test, extras = last_extras(y)
    changed = y.copy()
    changed[test[:50]] += rng.normal(size=50)
    again, extras_again = last_extras(changed)
    np.testing.assert_array_equal(test, again)
    np.testing.assert_array_equal(extras[0].test, extras_again[0].test)


class TestAdditiveModel:
    def test_fits_the_penalised_likelihood_of_its_variances(self):
        """At the end of the sweeps, no effect wants to move far."""
        rng = np.random.default_rng(7)
        widths = [5, 7]
        codes = table(rng, 2000, widths)
        score = main_effects(rng, codes, widths)
        y = (score + rng.logistic(size=2000) > 0).astype(float)[:, None]
        model = fit_additive(list(codes.T), widths, y, logistic=True)
        onehot = np.hstack([np.eye(w)[codes[:, f]] for f, w in enumerate(widths)])
        fitted = np.concatenate([e[:, 0] for e in model.effects])

        def loss(x):
            s = onehot @ x[1:] + x[0]
            return np.logaddexp(0, s).sum() - y[:, 0] @ s + 0.5 * (x[1:] ** 2).sum()

        best = minimize(loss, np.zeros(13)).x
        mine = expit(model.intercept[0] + onehot @ fitted)
        np.testing.assert_allclose(mine, expit(onehot @ best[1:] + best[0]), atol=0.02)

    def test_shrinks_fields_without_effect(self):
        rng = np.random.default_rng(8)
        codes = table(rng, 3000, [500, 10])
        y = rng.normal(size=10)[codes[:, 1]] + rng.normal(size=3000)
        model = fit_additive(list(codes.T), [500, 10], y[:, None], logistic=False)
        assert np.std(model.effects[0]) < 0.15
        assert np.std(model.effects[1]) > 0.5

    def test_levels_of_one_row_have_no_effect(self):
        """Otherwise fields of ids would take all of the noise."""
        rng = np.random.default_rng(9)
        ids = np.arange(500)
        y = rng.normal(size=(500, 1))
        model = fit_additive([ids, ids], [500, 500], y, logistic=False)
        assert not model.effects[0].any()

    @pytest.mark.parametrize("logistic", [False, True])
    def test_a_row_of_weight_two_is_two_rows(self, logistic):
        rng = np.random.default_rng(10)
        codes = table(rng, 200, [5, 60])
        y = rng.normal(size=(200, 1)) + codes[:, :1]
        y = (y > 2).astype(float) if logistic else y
        times = rng.integers(1, 4, 200)
        rows = np.repeat(np.arange(200), times)
        fits = [
            fit_additive(
                list(codes[at].T), [5, 60], y[at], logistic=logistic, weight=weight
            )
            for at, weight in ((np.arange(200), times.astype(float)), (rows, None))
        ]
        for one, other in zip(fits[0].effects, fits[1].effects, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)
        one, other = (
            fit.residuals(list(codes.T), y, times.astype(float)).r for fit in fits
        )
        np.testing.assert_allclose(one, other, rtol=1e-7)

    def test_constant_targets_give_finite_residuals(self):
        codes = np.zeros((10, 1), int)
        for logistic in (False, True):
            y = np.ones((10, 1))
            model = fit_additive([codes[:, 0]], [1], y, logistic=logistic)
            residuals = model.residuals([codes[:, 0]], y)
            assert np.isfinite(residuals.r).all()
