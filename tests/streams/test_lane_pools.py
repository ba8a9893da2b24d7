"""Rows of pools that are divided among lanes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfm.distributed.lanes import Lanes
from skfm.streams.lane_pools import LanePool


@pytest.mark.parametrize("counts", [[7], [3, 0, 5, 9], [40] * 16, [1, 1], [200, 1, 60]])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17])
@pytest.mark.parametrize("share", [1, 3, 40])
def test_all_rows_are_in_one_batch_each(counts, size, share):
    """For any division of the lanes, batches have the same rows in the same order."""
    counts = np.array(counts)
    group, n_rows = 10 + np.arange(len(counts)), int(counts.sum())
    n_batches = max(1, n_rows // share)
    numbered = np.split(np.arange(n_rows), np.cumsum(counts)[:-1])
    found = [[] for _ in range(n_batches)]
    for rank in range(size):
        lanes = Lanes(rank, size)
        pool = LanePool.of(group, counts, lanes, n_batches)
        read = np.concatenate([numbered[number - 10] for number in pool.numbers])
        for batch, draw in zip(found, pool.draws(5), strict=True):
            assert draw.bounds[-1] == len(draw.rows)
            assert len(draw.bounds) == len(lanes) + 1
            batch.append(read[draw.rows])
    batches = [np.concatenate(batch) for batch in found]
    assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n_rows))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    if size <= 16:  # otherwise there are more lanes
        whole = LanePool.of(group, counts, Lanes(0, 1), n_batches)
        for batch, draw in zip(batches, whole.draws(5), strict=True):
            assert_array_equal(np.arange(n_rows)[draw.rows], batch)


def test_a_worker_reads_the_blocks_of_its_lanes():
    counts = np.full(16, 40)
    for rank in range(4):
        pool = LanePool.of(np.arange(16), counts, Lanes(rank, 4), 2)
        assert_array_equal(pool.numbers, np.arange(4 * rank, 4 * rank + 4))
