"""Crosses as fields, against loops over rows."""

import numpy as np
import pytest

from skfm.encoding.crosses.crosses import Crosses
from skfm.encoding.crosses.evidence import NO_EVIDENCE
from skfm.encoding.crosses.found import LevelCross, StatisticCross
from skfm.encoding.crosses.levels import compact, fits_in_key, joint_keys, split_keys
from skfm.encoding.crosses.scores import Candidate


@pytest.fixture
def codes():
    return np.random.default_rng(0).integers(0, [4, 7, 3], size=(60, 3))


WIDTHS = [4, 7, 3]


def test_keys_are_equal_where_all_fields_are(codes):
    keys = joint_keys(list(codes.T), WIDTHS)
    seen = {}
    for row, key in zip(codes.tolist(), keys.tolist(), strict=True):
        assert seen.setdefault(key, row) == row
    assert len(seen) == len({tuple(row) for row in codes.tolist()})
    np.testing.assert_array_equal(np.column_stack(split_keys(keys, WIDTHS)), codes)


@pytest.mark.parametrize("n_possible", [84, 10**9])
def test_compact_levels_part_the_rows_as_keys_do(codes, n_possible):
    keys = joint_keys(list(codes.T), WIDTHS)
    levels, n_levels = compact(keys, n_possible)
    assert levels.max() < n_levels
    same = keys[:, None] == keys
    np.testing.assert_array_equal(levels[:, None] == levels, same)


def test_too_many_combinations_have_no_key():
    assert fits_in_key([2**31, 2**31])
    assert not fits_in_key([2**31, 2**31, 2])


@pytest.mark.parametrize("min_count", [1, 2, 3])
def test_levels_are_numbered_if_seen_often_enough(codes, min_count):
    cross = LevelCross.learn((0, 2), WIDTHS, codes, min_count)
    pairs = [(a, c) for a, _, c in codes.tolist()]
    known = sorted({p for p in pairs if pairs.count(p) >= min_count})
    expected = [known.index(p) if p in known else len(known) for p in pairs]
    assert cross.encode(codes).tolist() == expected
    assert cross.width == len(known) + 1
    names = [["a", "b", "c", "d"], ["x", "y", "z"]]
    labels = [f"{names[0][a]} x {names[1][c]}" for a, c in known]
    assert cross.labels(names) == [*labels, "<unknown>"]


def test_levels_not_seen_are_unknown(codes):
    cross = LevelCross.learn((0, 1), WIDTHS, codes[codes[:, 0] < 3], 1)
    new = codes[codes[:, 0] == 3]
    assert set(cross.encode(new).tolist()) == {cross.width - 1}
    nothing = LevelCross.learn((0, 1), WIDTHS, codes, 61)
    assert set(nothing.encode(codes).tolist()) == {0}


@pytest.fixture
def statistic(codes):
    rng = np.random.default_rng(1)
    y, folds = rng.normal(size=60), rng.integers(10, size=60)
    cross, columns = StatisticCross.learn((0, 1), WIDTHS, codes, y, folds)
    return cross, columns, y, folds


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_one_at_a_time(codes, weighted):
    rng = np.random.default_rng(2)
    y, folds = rng.normal(size=60), rng.integers(10, size=60)
    weight = rng.random(60) * 2 if weighted else None
    crosses = [
        LevelCross.learn((0, 1), WIDTHS, codes, 2, weight=weight),
        LevelCross.learn((0, 1), WIDTHS, codes, 61),
        StatisticCross.learn((1, 0), WIDTHS, codes, y, folds, weight=weight)[0],
        StatisticCross.learn((0, 1), WIDTHS, codes[:5], y[:5], folds[:5])[0],
    ]
    for cross in crosses:
        levels = codes[:, list(cross.fields)].tolist()
        found = [cross.encode_one(row) for row in levels]
        assert found == cross.encode(codes).tolist()


def columns_of(cross, statistics):
    """The column of each (count, sum), in terms of the labels."""
    columns = []
    for c, s in statistics:
        mean = (s + cross.prior) / (c + 1)
        capped = min(c, 3)
        start = 1 + sum(len(e) + 1 for e in cross.edges[: max(capped - 1, 0)])
        n_below = sum(mean > edge for edge in cross.edges[capped - 1]) if c else 0
        columns.append(start + n_below if c else 0)
    return columns


def test_training_rows_get_statistics_of_other_folds(codes, statistic):
    cross, columns, y, folds = statistic
    expected = []
    for i in range(60):
        others = [
            j
            for j in range(60)
            if folds[j] != folds[i] and (codes[j, :2] == codes[i, :2]).all()
        ]
        expected.append((len(others), sum(y[j] for j in others)))
    assert columns.tolist() == columns_of(cross, expected)
    assert cross.prior == pytest.approx(y.mean())


def test_a_row_of_weight_two_is_two_rows_of_its_fold(codes):
    rng = np.random.default_rng(5)
    y, folds, times = rng.normal(size=60), np.arange(60) % 3, rng.integers(1, 4, 60)
    rows = np.repeat(np.arange(60), times)
    weight = times.astype(float)
    levels = LevelCross.learn((0, 1), WIDTHS, codes, 4, weight=weight)
    again = LevelCross.learn((0, 1), WIDTHS, codes[rows], 4)
    np.testing.assert_array_equal(levels.keys, again.keys)
    cross, columns = StatisticCross.learn(
        (0, 1), WIDTHS, codes, y, folds, weight=weight
    )
    again, repeated = StatisticCross.learn(
        (0, 1), WIDTHS, codes[rows], y[rows], folds[rows]
    )
    assert 0 < len(levels.keys) < len(cross.keys)
    np.testing.assert_array_equal(cross.counts, again.counts)
    np.testing.assert_allclose(cross.sums, again.sums)
    np.testing.assert_array_equal(columns[rows], repeated)


def test_new_rows_get_statistics_of_all_rows(codes, statistic):
    cross, _, y, _ = statistic
    new = np.random.default_rng(2).integers(0, WIDTHS, size=(40, 3))
    expected = []
    for row in new:
        same = (codes[:, :2] == row[:2]).all(axis=1)
        expected.append((int(same.sum()), float(y[same].sum())))
    assert cross.encode(new).tolist() == columns_of(cross, expected)
    assert len(cross.labels([])) == cross.width


def test_own_target_has_no_part_in_a_training_row(codes, statistic):
    _, columns, y, folds = statistic
    for row in range(0, 60, 7):
        # Targets swapped within a fold and level leave all statistics as they are.
        changed = y.copy()
        same_fold = folds == folds[row]
        level = (codes[:, :2] == codes[row, :2]).all(axis=1) & same_fold
        changed[level] = y[level][::-1]
        _, again = StatisticCross.learn((0, 1), WIDTHS, codes, changed, folds)
        np.testing.assert_array_equal(again, columns)


def test_few_means_have_a_bin_each_and_many_have_eight():
    codes = np.repeat(np.arange(300), 4)[:, None] // [1, 300]
    folds = np.tile(np.arange(4), 300)
    outcomes = np.random.default_rng(3).integers(2, size=1200).astype(float)
    cross, columns = StatisticCross.learn((0, 1), [300, 2], codes, outcomes, folds)
    # Three other rows have 0 to 3 successes.
    assert [len(edges) + 1 for edges in cross.edges] == [1, 1, 4]
    numbers = np.random.default_rng(4).normal(size=1200)
    cross, columns = StatisticCross.learn((0, 1), [300, 2], codes, numbers, folds)
    assert [len(edges) + 1 for edges in cross.edges] == [1, 1, 8]
    assert np.bincount(columns)[3:].min() > 100


def test_crosses_learn_and_encode_each_of_their_items(codes):
    found = [(Candidate((0, 1)), NO_EVIDENCE), (Candidate((1, 2), True), NO_EVIDENCE)]
    y = np.random.default_rng(5).normal(size=(60, 1))
    crosses, columns = Crosses.learn(
        found, codes, WIDTHS, y, random_state=np.random.RandomState(0)
    )
    levels, statistics = crosses.items
    assert isinstance(levels, LevelCross)
    assert isinstance(statistics, StatisticCross)
    assert crosses.widths == [levels.width, statistics.width]
    encoded = crosses.encode_codes(codes)
    np.testing.assert_array_equal(columns[0], levels.encode(codes))
    np.testing.assert_array_equal(encoded[0], levels.encode(codes))
    np.testing.assert_array_equal(encoded[1], statistics.encode(codes))
