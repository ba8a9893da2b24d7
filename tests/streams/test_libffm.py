"""Files in the libffm format that are read in chunks."""

import numpy as np
import pytest
import scipy.sparse as sp
from estimator_cases import CELLS, LABELS, SIZES, X, make, scores
from numpy.testing import assert_allclose, assert_array_equal

import skfm
from skfm.datasets import dump_libffm, libffm_rows, load_libffm, open_libffm

FIELDS = np.repeat(np.arange(len(SIZES)), SIZES)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(libffm_rows, "_ENTRIES", 100)
    dump_libffm(X, LABELS, tmp_path / "rows.ffm", fields=FIELDS)
    return tmp_path / "rows.ffm"


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (skfm.FFMClassifier, {}),
        (skfm.FMClassifier, {"solver": "sgd"}),
        (skfm.DeepFMClassifier, {"fields": [9, 3], "field_pooling": "mean"}),
    ],
)
def test_one_batch_gives_the_fit_in_memory(cls, options, path):
    options = {"batch_size": 200, "early_stopping": True, "dtype": "float64"} | options
    rows, y, fields = open_libffm(path)
    held_out = {"X_val": X[:30], "y_val": LABELS[:30]}
    model = make(cls, **options).fit(rows, y, **held_out)
    in_memory = load_libffm(path)
    assert rows.shape == in_memory[0].shape
    for found, expected in zip((y, fields), in_memory[1:], strict=True):
        assert_array_equal(found, expected)
    twin = make(cls, **{"fields": FIELDS} | options).fit(X, LABELS, **held_out)
    assert_allclose(scores(model, rows), scores(twin), rtol=1e-6, atol=1e-9)
    assert_allclose(model.validation_scores_, twin.validation_scores_, rtol=1e-7)


def test_rows_to_stop_on_from_another_file(path, tmp_path):
    dump_libffm(X[:40], LABELS[:40], tmp_path / "val.ffm.gz", fields=FIELDS)
    rows, y, _ = open_libffm(path)
    options = {"n_features": rows.shape[1], "handle_unknown": "ignore"}
    held_out, y_val, _ = open_libffm(tmp_path / "val.ffm.gz", **options)
    weight = np.arange(120.0)
    model = make(skfm.NFMRegressor, cache=tmp_path / "cache")
    model.fit(rows, y, weight, X_val=held_out, y_val=y_val)
    assert len(model.validation_scores_) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 2
    dump_libffm(np.eye(4), np.arange(4), tmp_path / "few.ffm", fields=[0, 0, 1, 1])
    few, y_few, _ = open_libffm(tmp_path / "few.ffm")
    with pytest.raises(ValueError, match="X_val has 4 columns, but"):
        model.fit(rows, y, X_val=few, y_val=y_few)


def test_a_file_that_has_changed(path):
    rows, y, _ = open_libffm(path)
    dump_libffm(X[:50], LABELS[:50], path, fields=FIELDS)
    with pytest.raises(ValueError, match=r"rows\.ffm has changed: open it again"):
        make(skfm.FMClassifier).fit(rows, y)
    with pytest.raises(ValueError, match="needs n_features or n_fields"):
        open_libffm(path, handle_unknown="ignore")


def test_labels_of_another_length(path):
    rows, y, _ = open_libffm(path)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make(skfm.FMClassifier).fit(rows, y[:5])
    assert len(CELLS) == rows.shape[0]


YEARS = np.random.default_rng(0).integers(1950, 2020, X.shape[0])
#: One-hot columns, years in most rows, and amounts in few.
UNITS = np.column_stack([X.toarray(), YEARS, 1e4 * (CELLS[:, 1] + 1) * CELLS[:, 2]])
UNIT_FIELDS = np.append(FIELDS, [3, 4])


def opened(folder, matrix, name="units.ffm"):
    """The rows of a file with the entries of a matrix, and their labels."""
    dump_libffm(matrix, LABELS[: len(matrix)], folder / name, fields=UNIT_FIELDS)
    return open_libffm(folder / name)[:2]


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (skfm.FFMClassifier, {"fields": UNIT_FIELDS}),
        (skfm.FMRegressor, {"solver": "sgd"}),
        (skfm.DeepFMClassifier, {"fields": [9, 3, 2], "field_pooling": "mean"}),
    ],
)
def test_units_of_columns_are_those_in_memory(cls, options, path, tmp_path):
    options = {"batch_size": 200, "dtype": "float64"} | options
    weight = np.arange(120) % 3.0
    held_out = {"X_val": UNITS[:30], "y_val": LABELS[:30]}
    twin = make(cls, **options).fit(sp.csr_array(UNITS), LABELS, weight, **held_out)
    rows, y = opened(tmp_path, UNITS)
    model = make(cls, cache=tmp_path / "cache", **options)
    for _ in range(2):  # the second time from the cache
        model.fit(rows, y, weight, **held_out)
        assert_allclose(model.column_scales_, twin.column_scales_, rtol=1e-6)
        assert_allclose(model.column_centers_, twin.column_centers_, rtol=1e-6)
        assert_allclose(scores(model, rows), scores(twin, UNITS), rtol=1e-5, atol=1e-7)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_units_of_a_file_do_not_matter(path, tmp_path):
    """Powers of two, which round nothing."""
    other = UNITS * np.append(np.ones(len(FIELDS)), [2.0**12, 2.0**-9])
    found = []
    for matrix in (UNITS, other):
        rows, y = opened(tmp_path, matrix)
        held_out, y_val = opened(tmp_path, matrix[:40], "val.ffm")
        options = {"warm_start": True, "early_stopping": True}
        model = make(skfm.FFMClassifier, **options)
        model.fit(rows, y, X_val=held_out, y_val=y_val)
        model.fit(rows, y)
        found.append(scores(model, rows))
    assert_array_equal(*found)


def test_units_of_chunks_of_a_stream(path, tmp_path):
    """Chunks from files and from memory settle the units alike."""
    model, twin = (make(skfm.FMRegressor, solver="sgd") for _ in range(2))
    for lo, hi in [(0, 1), (1, 50), (50, 120)]:
        rows, _ = opened(tmp_path, UNITS[lo:hi])
        target = 1e6 + 1e3 * LABELS[lo:hi]
        model.partial_fit(rows, target)
        twin.partial_fit(sp.csr_array(UNITS[lo:hi]), target)
        assert_allclose(model.column_scales_, twin.column_scales_, rtol=1e-6)
        assert_allclose(model.y_mean_, twin.y_mean_)
    assert_allclose(scores(model, UNITS), scores(twin, UNITS), rtol=1e-3)


def test_numbers_too_large_for_units(path, tmp_path):
    rows, y = opened(tmp_path, UNITS * 1e160)
    with pytest.raises(ValueError, match="too large for their squares"):
        make(skfm.FMClassifier).fit(rows, y)
