"""Memory of devices other than the CPU: what is kept there, and what does not fit."""

import pytest
import torch
from estimator_cases import LABELS, X, fitted, make, partial_fit, scores
from numpy.testing import assert_array_equal
from sparse_cases import random_csr

import skfm
from skfm.data import transfer
from skfm.data.labels import Labels
from skfm.data.rows import Rows
from skfm.data.transfer import ResidentRows

CPU = torch.device("cpu")
PLENTY = 1 << 40


class Pretended:
    """A kind of device with memory of its own, as torch describes it."""

    @staticmethod
    def mem_get_info(device):
        return 1000, 5000

    @staticmethod
    def memory_reserved(device):
        return 300

    @staticmethod
    def memory_allocated(device):
        return 100


def test_free_memory_counts_what_torch_holds_back(monkeypatch):
    assert transfer.free_memory(CPU) is None
    monkeypatch.setattr(torch, "cpu", Pretended)
    assert transfer.free_memory(CPU) == 1000 + 300 - 100


def test_free_memory_of_a_device_that_does_not_tell(monkeypatch):
    def refuse(device):
        raise RuntimeError("not supported")

    monkeypatch.setattr(torch, "cpu", Pretended)
    monkeypatch.setattr(Pretended, "mem_get_info", refuse)
    assert transfer.free_memory(CPU) is None


@pytest.mark.parametrize("n_outputs", [1, 1000])
def test_rows_stay_where_they_take_a_share_of_the_free_memory(n_outputs, monkeypatch):
    matrix = random_csr()
    n_rows, rows = matrix.shape[0], Rows(matrix, "float32")
    labels = Labels(torch.zeros(n_rows, n_outputs), torch.ones(n_rows))
    needed = matrix.nnz * 8 + len(rows) * (8 + 4 * n_outputs + 4)
    for free, fits in [(None, False), (4 * needed, True), (4 * needed - 1, False)]:
        monkeypatch.setattr(transfer, "free_memory", lambda device, free=free: free)
        assert ResidentRows.fits(rows, labels, CPU) == fits
    monkeypatch.setattr(transfer, "free_memory", lambda device: 4 * needed + 500)
    assert ResidentRows.fits(rows, labels, CPU, 500)
    assert not ResidentRows.fits(rows, labels, CPU, 501)


def test_the_best_epoch_has_room_of_its_own(in_torch, monkeypatch):
    asked = []

    def fits(rows, labels, device, reserved):
        asked.append(reserved)
        return False

    monkeypatch.setattr(ResidentRows, "fits", fits)
    model = fitted(skfm.FMClassifier, max_iter=2, dtype="float64")
    fitted(skfm.FMClassifier, max_iter=1)
    assert asked == [8 * (X.shape[1] * (1 + model.n_factors) + 1), 0]


def test_rows_are_streamed_if_the_memory_is_gone_after_all(in_torch, monkeypatch):
    expected = scores(fitted(skfm.FMClassifier))
    monkeypatch.setattr(transfer, "free_memory", lambda device: PLENTY)

    def no_room(*args):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(ResidentRows, "__init__", no_room)
    assert_array_equal(scores(fitted(skfm.FMClassifier)), expected)


def test_tables_that_do_not_fit_the_device(monkeypatch):
    monkeypatch.setattr(skfm.nn.shape, "free_memory", lambda device: 1000)
    model = make(skfm.FMClassifier)
    with pytest.raises(MemoryError, match=r"tables .* GiB available: hash"):
        model.fit(X, LABELS)
    assert not hasattr(model, "network_")


def test_partial_fit_where_tables_do_not_fit(monkeypatch):
    model = partial_fit(make(skfm.FMClassifier)).set_params(device="cpu:0")
    before = dict(vars(model))
    monkeypatch.setattr(skfm.nn.shape, "free_memory", lambda device: 100)
    with pytest.raises(MemoryError, match="tables"):
        partial_fit(model)
    assert vars(model) == before


def test_pairs_that_do_not_fit_the_device(monkeypatch):
    monkeypatch.setattr(skfm.models.afm, "free_memory", lambda device: 10)
    with pytest.raises(MemoryError, match="whose pairs need"):
        make(skfm.AFMClassifier).fit(X, LABELS)
