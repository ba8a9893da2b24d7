"""Files in the libffm format that are read in chunks."""

import numpy as np
import pytest
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


def test_units_of_columns_that_were_learnt_in_memory(path, tmp_path):
    """Files are scored in these units, but nothing is learnt from files in them."""
    model = make(skfm.FMClassifier, solver="sgd", warm_start=True).fit(3 * X, LABELS)
    dump_libffm(3 * X, LABELS, tmp_path / "three.ffm", fields=FIELDS)
    rows, y, _ = open_libffm(tmp_path / "three.ffm")
    assert_allclose(scores(model, rows), scores(model, 3 * X), rtol=1e-6)
    with pytest.raises(ValueError, match="column_scales_"):
        model.fit(rows, y)
    assert model.n_iter_ == 3
