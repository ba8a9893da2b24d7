"""The evidence for a cross, against its definition and planted effects."""

from dataclasses import astuple

import numpy as np
import pytest

from skfm.encoding.crosses.evidence import Residuals, weigh_levels, without_effects


def naive_evidence(r, w, levels, min_count):
    """The definition, pair by pair of rows."""
    pairs_r = pairs_w = 0.0
    for i in range(len(r)):
        for j in range(len(r)):
            if i != j and levels[i] == levels[j]:
                pairs_r += r[i] * r[j]
                pairs_w += w[i] * w[j]
    if pairs_r <= 0 or pairs_w <= 0:
        return 0.0, 0.0, 0.0
    variance, z = pairs_r / pairs_w, pairs_r / np.sqrt(2 * pairs_w)
    gain = 0.0
    for level in set(levels.tolist()):
        rows = np.flatnonzero(levels == level)
        if len(rows) >= min_count:
            R, W = sum(r[i] for i in rows), sum(w[i] for i in rows)
            gain += 0.5 * (R**2 / (W + 1 / variance) - np.log(1 + variance * W))
    return gain, variance, z


def planted(rng, n_rows, n_levels, deviation):
    """Residuals of a model that lacks the effects of a field's levels."""
    levels = rng.integers(n_levels, size=n_rows)
    w = rng.uniform(0.05, 0.25, n_rows)
    effects = rng.normal(0, deviation, n_levels)
    r = w * effects[levels] + np.sqrt(w) * rng.normal(size=n_rows)
    return Residuals(r[:, None], w[:, None]), levels


@pytest.mark.parametrize("min_count", [1, 2, 4])
@pytest.mark.parametrize("deviation", [0.0, 5.0])
def test_evidence_is_that_of_its_definition(min_count, deviation):
    rng = np.random.default_rng(3)
    residuals, levels = planted(rng, 60, 12, deviation)
    found = weigh_levels(residuals, levels, 15, min_count)
    expected = naive_evidence(residuals.r[:, 0], residuals.w[:, 0], levels, min_count)
    np.testing.assert_allclose(
        [found.gain, found.variance, found.z], expected, rtol=1e-9, atol=1e-12
    )


def test_variance_is_unbiased():
    rng = np.random.default_rng(0)
    estimates = []
    for _ in range(400):
        residuals, levels = planted(rng, 1000, 50, 1.0)
        estimates.append(weigh_levels(residuals, levels, 50).variance)
    standard_error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - 1.0) < 4 * standard_error
    assert standard_error < 0.03


def test_variance_hardly_moves_with_the_number_of_rows_a_level():
    rng = np.random.default_rng(1)
    thin, dense = (
        np.mean(
            [weigh_levels(*planted(rng, 3000, n, 2.0), n).variance for _ in "12345"]
        )
        for n in (1000, 20)
    )
    assert abs(thin - 4) < 1
    assert abs(dense - 4) < 2


def test_z_is_rarely_large_without_an_effect():
    rng = np.random.default_rng(2)
    z = [weigh_levels(*planted(rng, 2000, 300, 0.0), 300).z for _ in range(1000)]
    assert np.mean(np.array(z) > 2) < 0.04
    assert np.mean(np.array(z) > 3) < 0.008


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_classes_are_not_counted_more_than_once(n_classes):
    rng = np.random.default_rng(4)
    p = 1 / n_classes
    z = []
    for _ in range(600):
        y = np.eye(n_classes)[rng.integers(n_classes, size=1500)]
        residuals = Residuals(y - p, np.full_like(y, p * (1 - p)))
        levels = rng.integers(200, size=1500)
        r = residuals.r
        # Without the cut at zero, which the definition has.
        sums = [np.bincount(levels, r[:, k], 200) for k in range(n_classes)]
        if sum(np.dot(R, R) for R in sums) > (r * r).sum():
            z.append(weigh_levels(residuals, levels, 200).z)
    # The half of a standard normal above zero has mean square 1.
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=0.3)


def test_two_classes_say_what_one_outcome_says():
    rng = np.random.default_rng(5)
    y = rng.integers(2, size=500)
    levels = (rng.integers(2, size=500) + y) % 40 + 20 * rng.integers(2, size=500)
    one = Residuals((y - 0.5)[:, None], np.full((500, 1), 0.25))
    both = Residuals(np.column_stack([0.5 - y, y - 0.5]), np.full((500, 2), 0.25))
    a, b = (weigh_levels(residuals, levels, 60) for residuals in (one, both))
    assert a.gain > 0
    np.testing.assert_allclose((a.gain, a.variance), (b.gain, b.variance))
    np.testing.assert_allclose(a.z, b.z)


def test_effects_of_a_field_are_taken_out_and_others_stay():
    rng = np.random.default_rng(6)
    residuals, levels = planted(rng, 4000, 20, 1.0)
    other = rng.integers(20, size=4000)
    added = residuals.w * rng.normal(size=20)[other][:, None]
    both = Residuals(residuals.r + added, residuals.w)
    cleaned = without_effects(both, [(levels, 20)])
    assert weigh_levels(both, levels, 20).z > 10
    assert weigh_levels(cleaned, levels, 20).z < 1
    assert weigh_levels(cleaned, other, 20).z > 10


def test_given_residuals_are_not_written_to():
    residuals, levels = planted(np.random.default_rng(7), 500, 10, 2.0)
    before = residuals.r.copy()
    without_effects(residuals, [(levels, 10)])
    np.testing.assert_array_equal(residuals.r, before)


def test_agreement_is_that_of_its_definition():
    residuals, levels = planted(np.random.default_rng(8), 60, 12, 5.0)
    r = residuals.r[:, 0]
    sums = [
        sum(r[i] * r[j] for i in rows for j in rows if i != j)
        for rows in (np.flatnonzero(levels == level) for level in range(12))
    ]
    found = weigh_levels(residuals, levels, 12)
    assert found.agreement == pytest.approx(
        sum(sums) / np.sqrt(np.sum(np.square(sums)))
    )


def test_a_pair_of_rare_outcomes_is_no_effect():
    """Its z and gain are large, but it is the only level to say so."""
    y = np.zeros(1000)
    y[[7, 8]] = 1.0
    levels = np.arange(1000) // 10
    residuals = Residuals((y - 0.001)[:, None], np.full((1000, 1), 0.001))
    evidence = weigh_levels(residuals, levels, 100)
    assert evidence.z > 4
    assert evidence.gain > 10
    assert not evidence.is_significant(3.0)


def test_few_dense_levels_are_enough():
    rng = np.random.default_rng(9)
    levels = rng.integers(4, size=4000)
    r = np.array([-0.2, 0.2, -0.2, 0.2])[levels] + rng.normal(size=4000)
    evidence = weigh_levels(Residuals(r[:, None], np.ones((4000, 1))), levels, 4)
    assert evidence.agreement < 2
    assert evidence.is_significant(5.0)


def test_a_row_of_weight_two_is_two_rows():
    rng = np.random.default_rng(10)
    residuals, levels = planted(rng, 300, 40, 2.0)
    field, times = rng.integers(5, size=300), rng.integers(1, 4, 300)
    weighed = Residuals(residuals.r, residuals.w, times.astype(float))
    rows = np.repeat(np.arange(300), times)
    repeated = Residuals(residuals.r[rows], residuals.w[rows])
    one, other = (
        weigh_levels(without_effects(part, [(field[at], 5)]), levels[at], 40, 3)
        for part, at in ((weighed, np.arange(300)), (repeated, rows))
    )
    assert one.gain > 0
    np.testing.assert_allclose(astuple(one), astuple(other), rtol=1e-9)
