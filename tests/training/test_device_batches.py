"""Batches on a device other than the CPU, made by torch on the CPU."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sparse_cases import FIELDS, N_COLUMNS, random_csr, random_table

from skfm.data import transfer
from skfm.data.labels import Labels
from skfm.data.rows import Rows
from skfm.data.transfer import DeviceBatch, ResidentRows
from skfm.sparse import TorchBackend, torch_ops

CPU = torch.device("cpu")


def same_batch(one, other):
    assert_array_equal(one.indptr, other.indptr)
    same_tensors(one, other, ("lengths", "columns", "values"))


def same_tensors(one, other, names):
    for name in names:
        mine, its = getattr(one, name), getattr(other, name)
        assert mine.dtype == its.dtype or not len(mine)
        assert_array_equal(mine, its)


def labels_of(matrix):
    n_rows = matrix.shape[0]
    return Labels(torch.arange(n_rows), torch.arange(n_rows) / 2)


def resident_rows(matrix, rows, prepare=lambda batch: batch):
    return ResidentRows(rows, labels_of(matrix), prepare, CPU)


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
    rows, labels = Rows(matrix, "float32", mean_fields), labels_of(matrix)
    resident = resident_rows(matrix, rows)
    for chosen in ([5, 2, 2, 0, 16], [0], [], list(range(17))):
        chosen = np.array(chosen, np.int64)
        expected = transfer.place(rows.take(chosen), CPU)
        found = resident.take(chosen)
        same_batch(found.batch, expected)
        placed = transfer.place_labels(labels.take(chosen), expected)
        same_tensors(found.labels, placed, ("target", "weight"))
        assert expected.columns.dtype == expected.lengths.dtype == torch.int64
    assert expected.longest() == rows.longest() > 5


def test_resident_rows_are_prepared_once():
    matrix = random_csr()
    rows, calls = Rows(matrix, "float64"), []

    def prepare(batch):
        calls.append(len(batch))
        return batch.of_unit_length(np.dtype(np.float64))

    resident = resident_rows(matrix, rows, prepare)
    chosen = np.array([3, 1, 4])
    expected = prepare(rows.take(chosen))
    calls.clear()
    same_batch(resident.take(chosen).batch, transfer.place(expected, CPU))
    assert calls == []


def test_resident_rows_of_a_matrix_that_starts_elsewhere():
    matrix = random_csr()
    tail = sp.csr_array((matrix.shape[0] - 4, N_COLUMNS))
    tail.indptr, tail.indices, tail.data = (
        matrix.indptr[4:],
        matrix.indices,
        matrix.data,
    )
    rows, whole = Rows(tail, "float32"), Rows(matrix, "float32")
    taken = resident_rows(tail, rows).take(np.array([0, 7])).batch
    expected = whole.take(np.array([4, 11]))
    assert_array_equal(taken.columns, expected.columns)
    assert_array_equal(taken.values, expected.values)


@pytest.mark.parametrize(("start", "stop"), [(0, 17), (2, 9), (5, 5), (16, 17)])
def test_slices(start, stop):
    batch = Rows(random_csr(), "float32").span(0, 17)
    part = transfer.place(batch, CPU).slice(start, stop)
    same_batch(part, transfer.place(batch.slice(start, stop), CPU))
    assert len(part) == stop - start


def test_a_table_moves_no_batch_that_is_there():
    table = random_table("pooled", backend=TorchBackend)
    placed = table.place(Rows(random_csr(), "float64").span(0, 17))
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


def test_another_default_device_changes_nothing():
    with torch.device("meta"):
        moved = transfer.move(np.arange(3), CPU)
    assert_array_equal(moved, [0, 1, 2])
