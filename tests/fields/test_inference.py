"""Fields inferred from the structure of a sparse matrix: exact or refused."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from field_cases import (
    REMEDIES,
    assert_exact,
    csr,
    exact_or_refused,
    infer_or_message,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skfm.fields import (
    FieldInferenceError,
    infer_fields,
    scan,
)
from skfm.fields.scan import active_columns

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def layouts(draw, full_row=True):
    """A block layout and a CSR matrix with at most one entry per row and block."""
    rng = np.random.default_rng(draw(SEEDS))
    sizes = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=8)))
    n_rows = draw(st.integers(1, 60))
    missing = draw(st.sampled_from([0.0, 0.05, 0.3, 0.7]))
    skew = draw(st.sampled_from([0.5, 1.0, 4.0]))
    starts = np.cumsum(sizes) - sizes
    picks = starts + (sizes * rng.random((n_rows, len(sizes))) ** skew).astype(int)
    present = rng.random(picks.shape) >= missing
    if full_row:
        present[rng.integers(n_rows)] = True
    X = csr([row[keep] for row, keep in zip(picks, present, strict=True)], sizes.sum())
    if draw(st.booleans()):
        X.data = rng.normal(size=X.nnz)
    return X, np.repeat(np.arange(len(sizes)), sizes)


class TestInferFields:
    @pytest.mark.parametrize(
        ("rows", "n_features", "expected"),
        [
            ([[0, 2], [1, 3]], 4, [0, 0, 1, 1]),
            ([[0, 1, 2]], 3, [0, 1, 2]),
            ([[0], [2], []], 3, [0, 0, 0]),
            # Column 2 is in no row and goes with the block before it.
            ([[1, 3], [1, 4]], 6, [0, 0, 0, 1, 1, 1]),
            # Column 2 occurs with block 1, hence is block 0's.
            ([[1, 3], [1, 4], [2, 4], [0]], 5, [0, 0, 0, 1, 1]),
            # Column 2 occurs with block 0, hence is block 1's.
            ([[0, 4], [1, 5], [1, 2], [3]], 6, [0, 0, 1, 1, 1, 1]),
            # Two columns of the gap in one row are one for each block.
            ([[0, 4], [1, 2]], 5, [0, 0, 1, 1, 1]),
            # Column 3 occurs with block 2, hence is block 1's, and so is 2 before it.
            ([[0, 1, 4], [0, 2], [3, 4]], 5, [0, 1, 1, 1, 2]),
            # Columns 2 and 3 occur only with block 0: they may be block 1's or 2's.
            ([[0, 1, 4], [0, 2], [0, 3]], 5, None),
            # Column 2 occurs with block 0 and with block 1, which are neighbours.
            ([[0, 4], [0, 2], [2, 4]], 5, None),
        ],
    )
    def test_small(self, rows, n_features, expected):
        X = csr(rows, n_features)
        if expected is None:
            with pytest.raises(FieldInferenceError):
                infer_fields(X)
        else:
            np.testing.assert_array_equal(infer_fields(X), expected)

    def test_column_placed_only_after_another_one(self):
        # Row 1 puts column 2 in block 1; only then does row 2 put column 5 in block 2.
        X = csr([[0, 3, 6], [0, 2], [2, 5]], 7)
        np.testing.assert_array_equal(infer_fields(X), [0, 0, 1, 1, 1, 2, 2])

    @settings(max_examples=150, deadline=None)
    @given(layouts())
    def test_exact_or_refused_when_a_row_is_full(self, case):
        X, truth = case
        exact_or_refused(X, truth)

    @settings(max_examples=60, deadline=None)
    @given(layouts(full_row=False))
    def test_answers_never_put_two_entries_of_a_row_in_a_block(self, case):
        X, _ = case
        fields, _ = infer_or_message(X)
        if fields is not None:
            assert fields.max() + 1 == np.diff(X.indptr).max()
            rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
            assert len(set(zip(rows, fields[X.indices], strict=True))) == X.nnz

    @settings(max_examples=200, deadline=None)
    @given(
        st.integers(1, 8).flatmap(
            lambda n: st.lists(
                st.sets(st.integers(0, n - 1), max_size=4), min_size=1, max_size=7
            ).map(lambda rows: csr([sorted(row) for row in rows], n))
        )
    )
    def test_agrees_with_trying_every_division(self, X):
        active = np.flatnonzero(active_columns(X))
        dense = X.toarray()[:, active]
        width = int(dense.sum(axis=1).max())
        found = []
        if width:
            for cuts in combinations(range(1, len(active)), width - 1):
                sums = np.add.reduceat(dense, [0, *cuts], axis=1)
                if sums.max() <= 1:
                    found.append(np.searchsorted(cuts, np.arange(len(active)), "right"))
        fields, _ = infer_or_message(X)
        assert (fields is not None) == (len(found) == 1)
        if fields is not None:
            truth = np.zeros(X.shape[1], dtype=int)
            truth[active] = found[0]
            assert_exact(X, fields, truth)

    @settings(max_examples=60, deadline=None)
    @given(layouts(), st.integers(1, 20))
    def test_chunks_do_not_matter(self, case, chunk):
        X, _ = case
        whole = infer_or_message(X)[0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scan, "CHUNK_ENTRIES", chunk)
            in_chunks = infer_or_message(X)[0]
        assert (whole is None) == (in_chunks is None)
        np.testing.assert_array_equal(whole, in_chunks)

    @pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array])
    @pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
    def test_kinds_of_csr_and_read_only(self, kind, index_dtype, dtype):
        X = kind(csr([[0, 3], [2, 3], [], [1, 4], [2]], 6), dtype=dtype)
        X.indices = X.indices.astype(index_dtype)
        X.indptr = X.indptr.astype(index_dtype)
        for array in (X.data, X.indices, X.indptr):
            array.flags.writeable = False
        fields = infer_fields(X)
        assert fields.dtype == np.int32
        np.testing.assert_array_equal(fields, [0, 0, 0, 1, 1, 1])

    def test_memory_is_a_fraction_of_X(self, monkeypatch):
        monkeypatch.setattr(scan, "CHUNK_ENTRIES", 1000)
        columns = np.arange(0, 200, 2) + (np.arange(2000)[:, None] % 2)
        X = csr([*columns, columns[0, ::2]], 200)
        tracemalloc.start()
        infer_fields(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < X.indices.nbytes / 4

    @pytest.mark.parametrize("X", [csr([[], []], 3), csr([], 3), csr([[]], 0)])
    def test_nothing_to_see_is_refused(self, X):
        with pytest.raises(FieldInferenceError, match="no entries"):
            infer_fields(X)

    def test_needs_canonical_csr(self):
        with pytest.raises(TypeError, match="CSR"):
            infer_fields(np.eye(2))
        with pytest.raises(TypeError, match="CSR"):
            infer_fields(sparse.csc_array(np.eye(2)))
        with pytest.raises(ValueError, match="canonical"):
            infer_fields(csr([[1, 0]], 2))

    @pytest.mark.parametrize(
        ("rows", "match"),
        [
            (
                [[0, 2], [3], [1, 4], [2, 5]],
                "entry 1 of row 3 is in column 2, but entry 2 of row 0 is in column 2",
            ),
            (
                [[0, 4, 6], [1, 5, 6], [0, 1]],
                r"row 2 has entries in columns 0 and 1, .* rows \[2\]",
            ),
            (
                [[0, 4], [1, 5], [3]],
                r"column 3 could belong to the block that ends at column 1 or to the "
                r"block that starts at column 4: .*rows \[2\]",
            ),
            ([[0, 4, 6], [0, 3], [3, 4]], r"columns 3 to 3 do not .*rows \[1, 2\]"),
            ([[0, 4, 6], [0, 1], [2, 4]], r"columns 1 to 2 do not .*rows \[1, 2\]"),
        ],
    )
    def test_refusals_name_rows_columns_and_remedies(self, rows, match):
        with pytest.raises(FieldInferenceError, match=match) as info:
            infer_fields(csr(rows, 7))
        assert all(remedy in str(info.value) for remedy in REMEDIES)

    def test_numeric_columns_never_nonzero_together_are_not_merged(self):
        # A gain and a loss, as in census data: one of them at most is nonzero.
        rows = [[0, 2], [1, 2], [0, 3], [1, 3], [0], [1]]
        X = csr(rows, 4, data=[1, 500, 1, 700, 1, 20, 1, 30, 1, 1])
        with pytest.raises(FieldInferenceError, match=r"columns \[2, 3\] hold varying"):
            infer_fields(X)
        X.data[:] = 1
        np.testing.assert_array_equal(infer_fields(X), [0, 0, 1, 1])
