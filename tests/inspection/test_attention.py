"""Attention weights of fitted models."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from estimator_cases import X, fitted
from inspection_cases import UNEVEN, planted
from numpy.testing import assert_allclose

import skfm
from skfm.inspection import (
    attention_weights,
)


def test_attention_of_an_afm_is_the_softmax_of_its_pairs():
    model = fitted(skfm.AFMClassifier, dtype="float64", max_iter=20)
    weights = attention_weights(model, UNEVEN)
    layer = model.network_.attention
    hidden, bias, h = (
        tensor.detach().numpy()
        for tensor in (layer.hidden.weight, layer.hidden.bias, layer.projection)
    )
    dense, names = UNEVEN.toarray(), model.column_names_
    for row in range(30):
        own = weights[weights["row"] == row]
        columns = np.flatnonzero(dense[row])
        pairs = list(zip(*np.triu_indices(len(columns), 1), strict=True))
        vectors = model.factors_[columns] * dense[row, columns][:, None]
        logits = [
            h @ np.maximum(hidden @ (vectors[i] * vectors[j]) + bias, 0)
            for i, j in pairs
        ]
        expected = np.exp(logits) / np.exp(logits).sum()
        assert own["first"].tolist() == [names[columns[i]] for i, _ in pairs]
        assert own["second"].tolist() == [names[columns[j]] for _, j in pairs]
        assert_allclose(own["weight"], expected, rtol=1e-9)


def test_attention_sums_to_one_and_puts_the_planted_pair_first():
    X, y, truth = planted()
    model = skfm.AFMClassifier(random_state=0, max_iter=15).fit(X, y)
    weights = attention_weights(model, X, by="field")
    assert_allclose(weights.groupby("row")["weight"].sum(), 1, rtol=1e-6)
    top = weights.groupby(["first", "second"])["weight"].mean().idxmax()
    assert {int(name.removeprefix("field")) for name in top} == set(truth.groups[0])


def test_attention_by_field_adds_up_pairs_of_the_same_fields():
    fields = [0] * 9 + [1] * 3
    model = fitted(skfm.AFMClassifier, fields=fields, dtype="float64")
    weights = attention_weights(model, X[:2], by="field")
    assert len(weights) == 4
    both = attention_weights(model, X[:1])["weight"]
    assert_allclose(weights["weight"][:2], [both[0], both[1:].sum()])


def test_rows_without_a_pair_pay_no_attention():
    model = fitted(skfm.AFMClassifier)
    assert attention_weights(model, sp.csr_array((2, X.shape[1]))).empty


def test_attention_of_an_autoint():
    model = fitted(skfm.AutoIntClassifier, dtype="float64")
    weights = attention_weights(model, X[:5])
    assert len(weights) == 5 * 2 * 2 * 3 * 3
    total = weights.groupby(["row", "layer", "head", "field"])["weight"].sum()
    assert_allclose(total, 1)
    network = model.network_
    slots = torch.from_numpy(model.factors_[X.indices.reshape(-1, 3)[:5]])
    expected = network.attention[0].weights(slots).detach().numpy()
    first = weights.query("layer == 0")["weight"].to_numpy()
    assert_allclose(first, expected.ravel(), rtol=1e-9)


def test_models_without_attention_are_refused():
    with pytest.raises(TypeError, match="FMClassifier has no attention"):
        attention_weights(fitted(skfm.FMClassifier), X)
