"""Code for devices other than the CPU, run in torch on the CPU."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from common_cases import ARCHITECTURES, ESTIMATORS
from estimator_cases import LABELS, NUMBERS, SIZES, X, fitted, make, partial_fit, scores
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sparse_cases import FIELDS, N_COLUMNS, random_csr, random_table

import skfm
from skfm.data import transfer
from skfm.data.rows import Rows
from skfm.data.transfer import DeviceBatch, ResidentRows
from skfm.sparse import BACKENDS, KernelBackend, TorchBackend, torch_ops
from skfm.training import learner

CPU = torch.device("cpu")
PLENTY = 1 << 40
RANKERS = [
    getattr(skfm, name)
    for name in ("FMRanker", "NFMRanker", "DeepFMRanker", "AFMRanker")
]
PLACES = ["streamed", "resident"]


@pytest.fixture
def in_torch(monkeypatch):
    """Networks built meanwhile run without kernels."""
    monkeypatch.setitem(BACKENDS, "cpu", TorchBackend)


@pytest.fixture
def place(request, in_torch, monkeypatch):
    """Where batches are gathered; the number of batches and of moves so far."""
    counts = {"gathered there": 0, "moved": 0}
    free = PLENTY if request.param == "resident" else None
    monkeypatch.setattr(transfer, "free_memory", lambda device: free)
    _count(monkeypatch, ResidentRows, "take", counts, "gathered there")
    _count(monkeypatch, skfm.sparse.torch_backend, "place", counts, "moved")
    return request.param, counts


def _count(monkeypatch, owner, name, counts, key):
    original = getattr(owner, name)

    def counted(*args, **options):
        counts[key] += 1
        return original(*args, **options)

    monkeypatch.setattr(owner, name, counted)


def same_batch(one, other):
    assert_array_equal(one.indptr, other.indptr)
    for name in ("lengths", "columns", "values", "target", "weight"):
        mine, its = getattr(one, name), getattr(other, name)
        assert (mine is None) == (its is None)
        if mine is not None:
            assert mine.dtype == its.dtype or not len(mine)
            assert_array_equal(mine, its)


def rows_of(matrix, mean_fields=None, dtype="float32"):
    n_rows = matrix.shape[0]
    target, weight = torch.arange(n_rows), torch.arange(n_rows) / 2
    return Rows(matrix, dtype, target, weight, mean_fields=mean_fields)


@pytest.mark.parametrize("entries_at_once", [1, 20, 1000])
@pytest.mark.parametrize("mean_fields", [None, FIELDS])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_resident_rows_are_those_that_would_be_moved(
    index_type, unit, mean_fields, entries_at_once, monkeypatch
):
    monkeypatch.setattr(transfer, "_ENTRIES_AT_ONCE", entries_at_once)
    matrix = random_csr(unit=unit)
    matrix.indptr, matrix.indices = (
        part.astype(index_type) for part in (matrix.indptr, matrix.indices)
    )
    matrix.data.setflags(write=False)
    rows = rows_of(matrix, mean_fields)
    resident = ResidentRows(rows, lambda batch: batch, CPU)
    for chosen in ([5, 2, 2, 0, 16], [0], [], list(range(17))):
        chosen = np.array(chosen, np.int64)
        expected = transfer.place(rows.take(chosen), CPU)
        same_batch(resident.take(chosen), expected)
        assert expected.columns.dtype == expected.lengths.dtype == torch.int64
    assert expected.longest() == rows.longest() > 5


def test_resident_rows_are_prepared_once():
    rows = rows_of(random_csr(), dtype="float64")
    calls = []

    def prepare(batch):
        calls.append(len(batch))
        return batch.of_unit_length(np.dtype(np.float64))

    resident = ResidentRows(rows, prepare, CPU)
    chosen = np.array([3, 1, 4])
    expected = prepare(rows.take(chosen))
    calls.clear()
    same_batch(resident.take(chosen), transfer.place(expected, CPU))
    assert calls == []


def test_resident_rows_of_a_matrix_that_starts_elsewhere():
    matrix = random_csr()
    tail = sp.csr_array((matrix.shape[0] - 4, N_COLUMNS))
    tail.indptr, tail.indices, tail.data = (
        matrix.indptr[4:],
        matrix.indices,
        matrix.data,
    )
    rows, whole = rows_of(tail), rows_of(matrix)
    resident = ResidentRows(rows, lambda batch: batch, CPU)
    taken, expected = resident.take(np.array([0, 7])), whole.take(np.array([4, 11]))
    assert_array_equal(taken.columns, expected.columns)
    assert_array_equal(taken.values, expected.values)


@pytest.mark.parametrize(("start", "stop"), [(0, 17), (2, 9), (5, 5), (16, 17)])
def test_slices(start, stop):
    batch = rows_of(random_csr()).span(0, 17)
    part = transfer.place(batch, CPU).slice(start, stop)
    same_batch(part, transfer.place(batch.slice(start, stop), CPU))
    assert len(part) == stop - start


def test_a_table_moves_no_batch_that_is_there():
    table = random_table("pooled", backend=TorchBackend)
    placed = table.place(rows_of(random_csr(), dtype="float64").span(0, 17))
    assert isinstance(placed, DeviceBatch)
    assert table.place(placed) is placed


class Staged:
    """Stands for an int32 tensor of the host, and says how it was moved."""

    def __init__(self, shape, dtype, device, pin_memory):
        assert (dtype, device) == (torch.int32, "cpu")
        self.array, self.pinned = np.zeros(shape, np.int32), pin_memory

    def numpy(self):
        return self.array

    def to(self, device, non_blocking):
        return str(device), self.array, self.pinned, non_blocking


@pytest.mark.parametrize(("name", "is_gpu"), [("cuda:1", True), ("xpu", False)])
def test_batches_reach_a_gpu_through_pinned_memory(name, is_gpu, monkeypatch):
    array, device = np.arange(3, dtype=np.int32), torch.device(name)
    with monkeypatch.context() as patched:
        patched.setattr(torch, "empty", Staged)
        where, moved, pinned, early = transfer.move(array, device)
    assert (where, pinned, early) == (name, is_gpu, is_gpu)
    assert_array_equal(moved, array)


@given(
    st.lists(st.integers(0, 4), max_size=60).map(lambda runs: np.repeat(runs, 37)),
    st.integers(0, 3),
)
def test_sums_by_column(columns, seed):
    rng = np.random.default_rng(seed)
    columns = rng.permutation(columns).astype(np.int64)
    rows = rng.integers(-9, 9, size=(len(columns), 2)).astype(float)
    distinct, sums = torch_ops.sum_by_column(
        torch.from_numpy(columns), torch.from_numpy(rows)
    )
    assert_array_equal(distinct, np.unique(columns))
    for column, total in zip(distinct, sums, strict=True):
        assert_array_equal(total, rows[columns == column.item()].sum(axis=0))


def test_sums_of_a_frequent_column_are_made_of_pieces(monkeypatch):
    longest = []

    def watched(rows, lengths):
        longest.append(int(lengths.max()))
        return original(rows, lengths)

    original = torch_ops.segment_sum
    monkeypatch.setattr(torch_ops, "segment_sum", watched)
    ones = torch.ones(50_000, 1)
    _, sums = torch_ops.sum_by_column(torch.zeros(50_000, dtype=torch.int64), ones)
    assert sums.item() == 50_000
    assert max(longest) <= 256


# Whole fits.


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_fits_equal_those_by_kernels(cls, place, monkeypatch):
    where, counts = place
    options = {"fields": list(SIZES), "early_stopping": True}
    model = fitted(cls, **options)
    n_batches = counts["gathered there" if where == "resident" else "moved"]
    assert n_batches >= 3 * 4
    assert counts["moved" if where == "resident" else "gathered there"] == 0
    found = scores(model)
    monkeypatch.undo()
    by_kernels = fitted(cls, **options)
    assert isinstance(model.network_.table.backend, TorchBackend)
    assert isinstance(by_kernels.network_.table.backend, KernelBackend)
    assert_allclose(found, scores(by_kernels), rtol=1e-7, atol=1e-9)
    assert_allclose(model.loss_curve_, by_kernels.loss_curve_, rtol=1e-7)


VARIANTS = {
    "more threads": {"n_jobs": 2},
    "weights": {"sample_weight": np.linspace(0.5, 2, len(LABELS))},
    "validation rows": {"X_val": X[:40], "y_val": LABELS[:40], "early_stopping": True},
    "one batch": {"batch_size": 1000},
    "L1": {"alpha_linear": 1e-3, "l1_ratio_linear": 1.0},
    "clipped": {"clip_norm": 0.1},
    "Adam": {"optimizer": "adam"},
    "frozen": {"freeze": True},
    "scaled rows": {"cls": skfm.FFMClassifier, "normalize": True},
    "parts of the columns": {
        "cls": skfm.WideDeepClassifier,
        "deep_columns": range(8),
        "wide_columns": range(4, 12),
    },
    "several values a field": {"fields": [9, 3], "field_pooling": "mean"},
}
OF_FIT = ("sample_weight", "X_val", "y_val")


def variant(name):
    """A model fitted with other options than the defaults."""
    options = {"cls": skfm.DeepFMClassifier, "fields": list(SIZES)} | VARIANTS[name]
    given = {key: options.pop(key) for key in OF_FIT if key in options}
    return make(**options).fit(X, LABELS, **given)


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("name", VARIANTS)
def test_options(name, place, monkeypatch):
    found = scores(variant(name))
    monkeypatch.undo()
    assert_allclose(found, scores(variant(name)), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_same_bits_wherever_rows_are_gathered(cls, in_torch, monkeypatch):
    streamed = fitted(cls, fields=list(SIZES), early_stopping=True)
    monkeypatch.setattr(transfer, "free_memory", lambda device: PLENTY)
    resident = fitted(cls, fields=list(SIZES), early_stopping=True)
    assert_array_equal(scores(streamed), scores(resident))
    assert streamed.validation_scores_ == resident.validation_scores_


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("loss", ["pairwise", "lambda", "listwise"])
@pytest.mark.parametrize("cls", RANKERS)
def test_rankers(cls, loss, place, monkeypatch):
    relevance = (NUMBERS - NUMBERS.min()).round()
    query = np.repeat(np.arange(12), 10)

    def scores_of_a_fit():
        model = make(cls, loss=loss, early_stopping=True, fields=list(SIZES))
        return model.fit(X, relevance, qid=query).predict(X)

    found = scores_of_a_fit()
    monkeypatch.undo()
    assert_allclose(found, scores_of_a_fit(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_partial_fit_in_parts(place, monkeypatch):
    def model_of_two_parts():
        model = make(skfm.DeepFMClassifier, fields=list(SIZES))
        partial_fit(model, X[:60], LABELS[:60])
        return partial_fit(model, X[60:], LABELS[60:])

    found = scores(model_of_two_parts())
    monkeypatch.undo()
    assert_allclose(found, scores(model_of_two_parts()), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMClassifier])
def test_rows_are_shuffled_alike_whatever_the_parts(cls, in_torch, monkeypatch):
    options = {"fields": list(SIZES)}
    if cls is skfm.DeepFMClassifier:
        options["dropout"] = 0.0
    whole = fitted(cls, **options)
    monkeypatch.undo()
    monkeypatch.setattr(learner, "_WORK_PER_PART", 1)
    monkeypatch.setattr(learner, "_ROWS_PER_PART", 4)
    made = {"replicas": 0}
    _count(monkeypatch, learner.Replica, "__init__", made, "replicas")
    in_parts = fitted(cls, **options)
    assert made["replicas"] == 8
    assert_allclose(scores(in_parts), scores(whole), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_partial_fit_on_another_device(cls):
    model = partial_fit(make(cls, fields=list(SIZES)))
    stays, before = copy.deepcopy(model), model.network_
    # By another name a device is another one.
    partial_fit(model.set_params(device="cpu:0"))
    assert model.network_ is not before
    assert model.network_.shape.device == "cpu:0"
    assert_array_equal(scores(model), scores(partial_fit(stays)))


def test_a_missing_device_changes_nothing():
    model = partial_fit(make(skfm.FMClassifier)).set_params(device="cuda:77")
    before = dict(vars(model))
    with pytest.raises(ValueError, match="device='cuda:77' is not available here"):
        partial_fit(model)
    assert vars(model) == before


# Memory.


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
    target = torch.zeros(matrix.shape[0], n_outputs)
    rows = Rows(matrix, "float32", target, torch.ones(matrix.shape[0]))
    needed = matrix.nnz * 8 + len(rows) * (8 + 4 * n_outputs + 4)
    for free, fits in [(None, False), (4 * needed, True), (4 * needed - 1, False)]:
        monkeypatch.setattr(transfer, "free_memory", lambda device, free=free: free)
        assert ResidentRows.fits(rows, CPU) == fits
    monkeypatch.setattr(transfer, "free_memory", lambda device: 4 * needed + 500)
    assert ResidentRows.fits(rows, CPU, 500)
    assert not ResidentRows.fits(rows, CPU, 501)


def test_the_best_epoch_has_room_of_its_own(in_torch, monkeypatch):
    asked = []

    def fits(rows, device, reserved):
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


def test_another_default_device_changes_nothing():
    with torch.device("meta"):
        moved = transfer.move(np.arange(3), CPU)
    assert_array_equal(moved, [0, 1, 2])


def test_tables_that_do_not_fit_the_device(monkeypatch):
    monkeypatch.setattr(skfm.nn.network, "free_memory", lambda device: 1000)
    model = make(skfm.FMClassifier)
    with pytest.raises(MemoryError, match=r"tables .* GiB available: hash"):
        model.fit(X, LABELS)
    assert not hasattr(model, "network_")


def test_partial_fit_where_tables_do_not_fit(monkeypatch):
    model = partial_fit(make(skfm.FMClassifier)).set_params(device="cpu:0")
    before = dict(vars(model))
    monkeypatch.setattr(skfm.nn.network, "free_memory", lambda device: 100)
    with pytest.raises(MemoryError, match="tables"):
        partial_fit(model)
    assert vars(model) == before


def test_pairs_that_do_not_fit_the_device(monkeypatch):
    monkeypatch.setattr(skfm.models.afm, "free_memory", lambda device: 10)
    with pytest.raises(MemoryError, match="whose pairs need"):
        make(skfm.AFMClassifier).fit(X, LABELS)


def test_devices_without_an_operation():
    with pytest.raises(ValueError, match="device='meta' is not available here"):
        make(skfm.FMClassifier, device="meta").fit(X, LABELS)
