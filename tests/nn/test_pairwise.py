"""Interactions as sums of pairs, and look-ups of given entries."""

import numpy as np
import pytest
import torch
from common_cases import ALL_ESTIMATORS
from estimator_cases import CELLS, make, target
from estimator_cases import X as ONE_HOT
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

import skfm
from skfm.nn.pairwise import PairwiseNetwork

FIELDS = [4, 5, 3]
#: Rows of no, one and many entries, several in a field, with values.
RAGGED = csr_array(
    np.array(
        [
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [1, -2, 0, 0, 0.5, 0, 0, 0, 3, 0, 0, 1],
            [0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0],
        ]
    )
)
PAIRWISE = [
    cls
    for cls in ALL_ESTIMATORS
    if issubclass(make(cls)._network_class, PairwiseNetwork)
]


def network_of(cls, y=None, **parameters):
    parameters = {"fields": FIELDS, "dtype": "float64"} | parameters
    model = make(cls, **parameters).fit(ONE_HOT, target(cls) if y is None else y)
    network = model.network_
    batch = model._read_rows(RAGGED).span(0, 4)
    return network, network.prepare(batch)


@pytest.mark.parametrize("cls", PAIRWISE)
@pytest.mark.parametrize("multi", [False, True])
def test_pair_terms_sum_to_the_interaction(cls, multi):
    y = None
    if multi:
        several = np.column_stack([CELLS[:, 0], CELLS[:, 1]])
        y = CELLS[:, 0] % 3 if "Classifier" in cls.__name__ else several
    network, batch = network_of(cls, y)
    with torch.no_grad():
        terms = network.pair_terms(network.entries(batch))
        whole = network.interaction(network.table.look_up(batch))
    n_pairs = 5 * 4 // 2
    assert terms.shape == (4, n_pairs, network.shape.n_outputs)
    assert_allclose(terms.sum(dim=1), whole, atol=1e-12)
    assert torch.count_nonzero(terms[:2]) == 0


@pytest.mark.parametrize("intra", [False, True])
def test_pair_terms_of_ffm(intra):
    network, batch = network_of(
        skfm.FFMClassifier, intra_field_pairs=intra, normalize=True
    )
    with torch.no_grad():
        terms = network.pair_terms(network.entries(batch))
        whole = network.interaction(network.table.look_up(batch))
    assert_allclose(terms.sum(dim=1), whole, atol=1e-12)
    inside = terms[2, 0, 0]  # the row's two entries of the first field
    assert (inside != 0) == intra


def test_pair_terms_of_an_fm_are_inner_products():
    network, batch = network_of(skfm.FMClassifier)
    with torch.no_grad():
        terms = network.pair_terms(network.entries(batch))[2, :, 0]
    (columns,) = np.nonzero(RAGGED[[2]].toarray()[0])
    values = RAGGED[[2]].toarray()[0][columns]
    vectors = network.factors.numpy()[columns] * values[:, None]
    gram = vectors @ vectors.T
    assert_allclose(terms, gram[np.triu_indices(len(columns), 1)], atol=1e-12)


@pytest.mark.parametrize("cls", [c for c in ALL_ESTIMATORS if "Class" in c.__name__])
def test_look_up_of_the_entries_of_a_batch(cls):
    network, batch = network_of(cls)
    table = network.table
    entries = table.entries(batch).requires_grad_()
    with torch.no_grad():
        expected = network(table.look_up(batch))
    scores = network(table.read_entries(entries, batch))
    assert_allclose(scores.detach(), expected, atol=1e-12)
    (gradient,) = torch.autograd.grad(scores.sum(), entries)
    assert torch.isfinite(gradient).all()
    if network.has_linear and network.without_linear is None:
        assert_allclose(gradient[:, : table.n_linear], 1)


def test_fwfm_weights_as_a_matrix():
    network, _ = network_of(skfm.FwFMClassifier, CELLS[:, 0] % 3)
    matrix = network.pairs.matrix().detach().numpy()
    assert matrix.shape == (3, 3, 3)
    assert_allclose(matrix, matrix.transpose(1, 0, 2))
    assert_allclose(matrix[np.triu_indices(3, 1)], network.pairs.weight.detach())
    assert not matrix[np.arange(3), np.arange(3)].any()
