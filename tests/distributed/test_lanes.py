"""Sums over lanes have the same bits whoever adds up which of them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from worker_cases import run_workers

from skfm.distributed import groups
from skfm.distributed.lanes import Lanes, add_lanes, n_lanes
from skfm.training.lane_sums import LaneSums


def tree(values):
    """Sum a power of two of numbers by halves; None is left out."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    left, right = tree(values[:half]), tree(values[half:])
    if left is None or right is None:
        return right if left is None else left
    return left + right


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 17, 33])
def test_workers_divide_the_lanes(size):
    lanes = [Lanes(rank, size) for rank in range(size)]
    assert lanes[0].n == n_lanes(size) == max(16, 1 << (size - 1).bit_length())
    rows = np.arange(53)
    assert_array_equal(np.concatenate([own.rows(rows) for own in lanes]), rows)
    found = np.concatenate([own.of_rows(own.bounds(53)) for own in lanes])
    assert_array_equal(
        np.bincount(found, minlength=lanes[0].n).cumsum(),
        [53 * (i + 1) // lanes[0].n for i in range(lanes[0].n)],
    )
    for own in lanes:
        ends = [*own.stems[1:], own.stop]
        for first, end in zip(own.stems, ends, strict=True):
            width = end - first
            assert width & (width - 1) == 0
            assert first % width == 0


@pytest.mark.parametrize("missing", [(), (0, 5), (3, 4, 8, 9, 10, 11, 15)])
def test_sums_are_those_of_a_tree(missing):
    values = np.random.default_rng(0).standard_normal(16).astype(np.float32)
    kept = [lane for lane in range(16) if lane not in missing]
    given = [(lane, torch.tensor([values[lane]])) for lane in kept]
    expected = tree([values[lane] if lane in kept else None for lane in range(16)])
    assert add_lanes(given).item() == expected


def test_vectors_are_summed_alike_by_any_workers():
    vectors = np.random.default_rng(0).standard_normal((16, 5)).astype(np.float32)

    def total(rank):
        communicator = groups.communicator()
        lanes = Lanes(rank, communicator.size)
        sums = LaneSums(communicator, lanes, torch.zeros(5))
        sums.parts[:] = torch.from_numpy(vectors[lanes.first : lanes.stop])
        return sums.total(1).numpy()

    for size in (1, 2, 3, 4):
        for found in run_workers(size, total):
            assert_array_equal(found, tree(list(vectors)))
    assert_allclose(found, vectors.sum(axis=0), rtol=1e-4)
