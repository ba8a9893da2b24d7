"""Merged rows, and the arrangement of their entries by column."""

import numpy as np
import pytest
import scipy.sparse as sp
from sampling_cases import cells, mixed, problem_of

from skfm.sampling import Problem
from skfm.sampling import layout as layout_module
from skfm.sampling.layout import lay_out
from skfm.sampling.rows import merge_rows


def test_rows_of_equal_content_are_one():
    X = sp.csr_array(
        np.array([[1, 0, 2], [0, 1, 0], [1, 0, 2], [0, 1, 0], [0, 0, 0.0]])
    )
    y = np.array([[1.0], [2.0], [4.0], [2.0], [7.0]])
    weight = np.array([1.0, 3.0, 2.0, 1.0, 0.5])
    merged = merge_rows(Problem(X, None, 1, y, weight, "gaussian"), 1)
    found = {
        int(f): (w, t[0])
        for f, w, t in zip(merged.first, merged.weight, merged.target, strict=True)
    }
    assert {f % 2 if f < 4 else 4 for f in found} == {0, 1, 4}
    by_kind = {f % 2 if f < 4 else 4: value for f, value in found.items()}
    assert by_kind[0] == (3.0, 3.0)
    assert by_kind[1] == (4.0, 2.0)
    assert by_kind[4] == (0.5, 7.0)
    # 1 (1 - 3)^2 + 2 (4 - 3)^2
    np.testing.assert_allclose(merged.within, [6.0])


def test_classes_of_a_row_are_counted():
    X = sp.csr_array(np.ones((5, 1)))
    y = np.array([0, 2, 2, 1, 2])
    merged = merge_rows(Problem(X, None, 1, y, None, "multinomial", 3), 1)
    np.testing.assert_array_equal(merged.target, [[1 - 2.5, 1 - 2.5, 3 - 2.5]])
    merged = merge_rows(Problem(X, None, 1, y == 2, None, "logistic"), 1)
    np.testing.assert_array_equal(merged.target, [[3 - 2.5]])


@pytest.mark.parametrize("family", ["gaussian", "logistic", "multinomial"])
def test_order_repetition_and_zeros_change_no_bit(family):
    X, fields = cells(60, [3, 4], seed=1)
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, 60).astype(float)
    problem = problem_of(X, fields, family, 1 if family != "multinomial" else 3)
    y = problem.target
    plain = merge_rows(problem_of(X, fields, family, max(1, problem.n_outputs)), 1)
    weighted = merge_rows(
        Problem(X, fields, 2, y, weight, family, problem.n_classes), 1
    )
    repeated = rng.permutation(np.repeat(np.arange(60), weight.astype(int)))
    rows = sp.csr_array(X[repeated])
    twice = merge_rows(
        Problem(rows, fields, 2, y[repeated], None, family, problem.n_classes), 2
    )
    np.testing.assert_array_equal(weighted.key, twice.key)
    np.testing.assert_array_equal(weighted.weight, twice.weight)
    np.testing.assert_array_equal(weighted.target, twice.target)
    np.testing.assert_array_equal(weighted.within, twice.within)
    assert len(plain.key) == len(np.unique(X.toarray(), axis=0))
    # Explicit zeros and the type of the values are no part of the content.
    stored = sp.csr_array(X, dtype=np.float64, copy=True)
    full = sp.csr_array(
        (
            np.r_[stored.data, np.zeros(60)],
            (
                np.r_[np.repeat(np.arange(60), 2), np.arange(60)],
                np.r_[stored.indices, (stored.indices[::2] + 1) % 3],
            ),
        ),
        shape=X.shape,
    )
    again = merge_rows(
        Problem(full, fields, 2, y, weight, family, problem.n_classes), 1
    )
    np.testing.assert_array_equal(again.key, weighted.key)


def dense_of(columns, n_rows, n_columns):
    """The matrix that columns hold, in units of X."""
    out = np.zeros((n_rows, n_columns))
    for i, c in enumerate(columns.ids):
        start, stop, at = (
            columns.bounds[i],
            columns.bounds[i + 1],
            columns.value_starts[i],
        )
        values = 1.0 if at < 0 else columns.values[at : at + stop - start]
        rows = columns.rows[start:stop]
        assert np.all(np.diff(rows) > 0)
        out[rows, c] = values * columns.scales[c]
    return out


def stage_ranges(stage):
    """Positions that a stage draws."""
    short = [p for start, stop in stage.tasks for p in range(start, stop)]
    return short + stage.long[:, 0].tolist()


@pytest.mark.parametrize("small", [4, 10_000])
@pytest.mark.parametrize("fields", [True, False])
def test_layout_holds_all_entries_and_disjoint_stages(monkeypatch, small, fields):
    monkeypatch.setattr(layout_module, "CHUNK", 30)
    monkeypatch.setattr(layout_module, "TASK", 16)
    monkeypatch.setattr(layout_module, "SMALL", small)
    X, of_column = mixed(120, seed=3)
    problem = problem_of(X, of_column if fields else None)
    merged = merge_rows(problem, 1)
    layout = lay_out(problem, merged)
    dense = X[merged.first].toarray()
    columns = layout.columns
    np.testing.assert_allclose(
        dense_of(columns, merged.n_rows, X.shape[1]), dense, rtol=1e-6
    )
    np.testing.assert_allclose(layout.entries, (dense != 0).sum() / len(dense))
    drawn = []
    for part in layout.fields:
        for stage in part.stages:
            positions = stage_ranges(stage)
            drawn += positions
            overlap = (dense[:, columns.ids[positions]] != 0).sum(axis=1).max()
            assert overlap <= 1 or not stage.parallel
            for i, start, stop in stage.chunks:
                assert stage.parallel
                assert columns.bounds[stage.long[i, 0]] <= start < stop
                assert stop - start <= 30
    assert sorted(drawn) == list(range(len(columns.ids)))
    assert [part.disjoint for part in layout.fields] == (
        [True, False, True] if fields else [False]
    )


def test_many_columns_of_one_row_need_more_than_one_word_of_colours():
    X = sp.csr_array(np.ones((3, 2000), np.float32))
    problem = problem_of(X, None)
    layout = lay_out(problem, merge_rows(problem, 1))
    (stage,) = layout.fields[0].stages
    assert not stage.parallel
    assert sorted(stage_ranges(stage)) == list(range(2000))


def test_scale_is_the_root_mean_square_of_what_is_not_zero():
    X = sp.csr_array(np.array([[3.0, 1, 0], [0, 1, 0], [4, 0, 0], [3, 1, 0]]))
    problem = problem_of(X, None, weight=np.array([2.0, 1, 1, 0]))
    layout = lay_out(problem, merge_rows(problem, 1))
    np.testing.assert_allclose(
        layout.columns.scales, [np.sqrt((2 * 9 + 16) / 3), 1.0, 1.0]
    )


def test_bad_problems_are_refused():
    X, fields = cells(5, [2, 2])
    y = np.zeros((5, 1))
    with pytest.raises(ValueError, match="target has 4 rows, X has 5"):
        Problem(X, fields, 2, y[:4], None, "gaussian")
    with pytest.raises(ValueError, match="fields has 3 entries"):
        Problem(X, fields[:3], 2, y, None, "gaussian")
    with pytest.raises(ValueError, match="all weights are zero"):
        Problem(X, fields, 2, y, np.zeros(5), "gaussian")
    with pytest.raises(ValueError, match="is not one of"):
        Problem(X, fields, 2, y, None, "poisson")
