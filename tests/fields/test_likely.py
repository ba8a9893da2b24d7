"""Blocks of columns that are likely where they are not certain."""

import numpy as np
import pandas as pd
from field_cases import csr, infer_or_message
from hypothesis import given, settings
from hypothesis import strategies as st

from skfm import FieldEncoder, FMClassifier
from skfm.fields import scan
from skfm.fields.likely import likely_fields


@st.composite
def matrices(draw):
    """A matrix of some rows with any columns."""
    n_features = draw(st.integers(1, 12))
    column = st.integers(0, n_features - 1)
    rows = draw(st.lists(st.sets(column), min_size=1, max_size=12))
    return csr([sorted(row) for row in rows], n_features)


def fewest_blocks(X):
    """Extend each block as far as no row has two entries in it."""
    held = X.toarray() != 0
    fields, start = np.zeros(X.shape[1], dtype=int), 0
    for column in range(1, X.shape[1]):
        if held[:, start : column + 1].sum(axis=1).max() > 1:
            start = column
        fields[column:] = fields[column - 1] + (start == column)
    return fields


class TestLikelyFields:
    @given(matrices())
    @settings(max_examples=100, deadline=None)
    def test_blocks_are_as_few_as_possible(self, X):
        fields, expected = likely_fields(X), fewest_blocks(X)
        most = 2 * max(np.diff(X.indptr).max(), 1)
        if expected[-1] > most:
            assert fields is None
        elif fields is not None:
            np.testing.assert_array_equal(fields, expected)
        else:
            assert expected[-1] >= 2 * np.diff(X.indptr).max()

    @given(matrices())
    @settings(max_examples=100, deadline=None)
    def test_what_is_certain_is_likely(self, X):
        certain, _ = infer_or_message(X)
        if certain is not None:
            np.testing.assert_array_equal(likely_fields(X), certain)

    def test_rows_may_be_scanned_in_chunks(self, monkeypatch):
        X = csr([[0, 2], [], [1, 3], [1], [0, 3, 4]], 5)
        monkeypatch.setattr(scan, "CHUNK_ENTRIES", 2)
        np.testing.assert_array_equal(likely_fields(X), [0, 0, 1, 1, 2])

    def test_counts_of_words_show_no_blocks(self):
        draw = np.random.default_rng(0)
        rows = [np.sort(draw.choice(200, 10, replace=False)) for _ in range(300)]
        assert likely_fields(csr(rows, 200)) is None


def test_an_ambiguous_column_leaves_the_other_priors_as_they_are():
    draw = np.random.default_rng(0)
    rows = np.arange(200)
    others = rows != 7
    table = pd.DataFrame(
        {
            "city": draw.choice(list("abcd"), 200),
            "owner": ((rows % 3 == 0) & others).astype(int),
            "rare": (~others).astype(int),
            "tenant": ((rows % 2 == 0) & others).astype(int),
            "kind": draw.choice(list("xyz"), 200),
        }
    )
    encoder = FieldEncoder().fit(table)
    X = encoder.transform(table)
    assert "could belong to the block" in infer_or_message(X)[1]
    model = FMClassifier(max_iter=4, random_state=0, crosses=None)
    model.fit(X, table["city"] == "a")
    # The rare flag occurs beside neither of the others, and shares a prior with one.
    assert len(model.diagnostics_["scales"]) == encoder.fields_.max()
