"""Memory of a fit, foreseen before anything is allocated."""

import numpy as np
import pytest
from estimator_cases import CELLS, LABELS, make

import skfm
from skfm.estimators import defaults
from skfm.nn import footprint
from skfm.nn.footprint import Footprint, rows_in_memory
from skfm.nn.shape import Shape

NUMBERS = CELLS + 0.5
ONE_EACH = {"fields": range(3)}


def sizes(model, batch_size=10):
    """The footprint of a fitted model."""
    options = dict(model.network_.config)
    shape = options.pop("shape")
    cls = type(model.network_)
    return Footprint(cls, shape, options, 3, batch_size, 3, keeps_best=True)


@pytest.mark.parametrize(
    "cls", [skfm.FMClassifier, skfm.FwFMClassifier, skfm.DCNClassifier]
)
def test_dense_weights_are_counted_without_being_made(cls):
    solver = {"solver": "sgd"} if cls is skfm.FMClassifier else {}
    model = make(cls, **ONE_EACH, **solver).fit(NUMBERS, LABELS)
    expected = sum(p.numel() for p in model.network_.parameters())
    assert sizes(model).n_dense_weights() == expected


def shape_of(n_fields, n_factors=8):
    fields = np.arange(n_fields, dtype=np.int32)
    return Shape(n_fields, n_factors, 1, fields=fields, dtype="float64")


def test_wide_tables_get_smaller_batches():
    """A row of FFM holds the slots of all pairs of fields, three times in training."""
    network = skfm.FFMClassifier._network_class
    options = {"normalize": False, "intra_field_pairs": False}
    most = rows_in_memory(network, shape_of(301), options, 301)
    per_row = 3 * 301 * 301 * 8 * 8
    assert most == 2**30 // per_row
    assert defaults.batch_size("auto", 10**5, 10**5, most) == most
    assert defaults.batch_size(300, 300, 300, most) == 300
    # Every entry is a slot where entries of a field interact.
    options["intra_field_pairs"] = True
    assert rows_in_memory(network, shape_of(301), options, 602) == most // 2
    pooled = skfm.NFMClassifier._network_class
    assert rows_in_memory(pooled, shape_of(301), {}, 301) is None


@pytest.mark.parametrize(
    ("cls", "available", "message"),
    [
        (skfm.FFMClassifier, 50_000, r"batch of 120 rows.*lower batch_size"),
        (skfm.DCNClassifier, 30_000, r"of 3 fields have \d+ weights.*n_factors"),
    ],
)
def test_a_fit_that_needs_more_is_refused(cls, available, message, monkeypatch):
    monkeypatch.setattr(footprint, "free_memory", lambda device: available)
    model = make(cls, **ONE_EACH, batch_size=120)
    with pytest.raises(MemoryError, match=message):
        model.fit(NUMBERS, LABELS)
    assert not hasattr(model, "network_")


def test_few_numbers_are_formed_of_many_fields():
    """The intermediate numbers of a row grow with the square of fields at most."""
    rows = np.random.default_rng(0).normal(size=(20, 60))
    for cls in (skfm.FwFMClassifier, skfm.PNNClassifier, skfm.XDeepFMClassifier):
        model = make(cls, fields=range(60)).fit(rows, np.arange(20) % 2)
        wanted = model.network_.numbers_per_row(60)
        assert 60**2 < wanted < 20 * 60**2
        assert model.network_.chunk_rows(60) == 2**24 // (8 * wanted)
