"""The samples that a run keeps: an even choice of the second half of its iterations."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel
from .chain import Chain
from .data import Data


class Keeper:
    """Samples of several chains, at most ``capacity`` of each.

    A chain keeps each iteration on a grid. When its slots are full of iterations of the
    chain's second half, the grid doubles and every other sample is dropped: whenever a
    run ends, its samples are spread evenly over its second half, and there are between
    half the capacity and all of it.

    Parameters
    ----------
    data : Data
    n_chains : int
    capacity : int
        Largest number of samples of a chain.
    burn_in : int
        Iterations of each chain that are never kept.

    Attributes
    ----------
    table : ndarray of shape (n_seen, n_slots, n_outputs, k + 1), float32
        Parameters of the columns that have entries, by `Columns.ids`, weights last, in
        units of X. All other arrays have the slots in the same axis.
    intercept : ndarray of shape (n_slots, n_outputs)
    means, deviations : ndarray of shape (n_fields, n_slots, n_outputs, k + 1)
    noise : ndarray of shape (n_slots, n_outputs)
        Standard deviations of the noise.
    iterations : ndarray of shape (n_chains, capacity), int64
        Iteration of the sample in each slot; 0 in an empty slot.
    """

    def __init__(self, data: Data, n_chains: int, capacity: int, burn_in: int) -> None:
        self.data, self.burn_in = data, burn_in
        n_slots, n_outputs = n_chains * capacity, data.problem.n_outputs
        shape = n_slots, n_outputs, data.n_factors + 1
        self.table = np.zeros((len(data.layout.columns.ids), *shape), np.float32)
        self.intercept = np.zeros(shape[:2], np.float32)
        self.means = np.zeros((len(data.layout.fields), *shape), np.float32)
        self.deviations = np.zeros_like(self.means)
        self.noise = np.ones(shape[:2], np.float32)
        self.iterations = np.zeros((n_chains, capacity), np.int64)
        self.grid = np.ones(n_chains, np.int64)

    def first(self, iteration: int) -> int:
        """Return the iteration after which samples count in a run of some length."""
        return max(self.burn_in, iteration // 2)

    def offer(self, index: int, chain: Chain) -> None:
        """Keep the state of chain ``index`` if its iteration is on the grid."""
        at, kept = chain.iteration, self.iterations[index]
        if at <= self.burn_in or at % self.grid[index]:
            return
        kept[kept <= self.first(at)] = 0
        if np.all(kept):
            self.grid[index] *= 2
            kept[kept % self.grid[index] != 0] = 0
            if at % self.grid[index]:
                return
        self.put(index, int(np.argmin(kept)), chain)

    def put(self, index: int, slot: int, chain: Chain) -> None:
        """Write the state of chain ``index`` to one of its slots."""
        # An interrupted write leaves an empty slot.
        at, self.iterations[index, slot] = slot, 0
        slot += index * self.iterations.shape[1]
        columns = self.data.layout.columns
        for j, machine in enumerate(chain.machines):
            _take(machine.table, columns.ids, columns.scales, self.table[:, slot, j])
            self.intercept[slot, j] = machine.intercept
            self.means[:, slot, j] = machine.hyper[:, 0]
            self.deviations[:, slot, j] = machine.hyper[:, 2]
            self.noise[slot, j] = chain.likelihood.alpha[j] ** -0.5
        self.iterations[index, at] = chain.iteration

    def chosen(self, iteration: int) -> np.ndarray:
        """Return the slots that count in a run of some length, chain by chain."""
        flat = self.iterations.ravel()
        order = np.lexsort((flat, np.arange(flat.size) // self.iterations.shape[1]))
        return order[flat[order] > self.first(iteration)]


@kernel
def _take(table, ids, scales, out):
    k = out.shape[1] - 1
    width = table.shape[1] - 8
    for i in range(len(ids)):
        inverse = 1 / scales[ids[i]]
        for a in range(k):
            out[i, a] = table[ids[i], a] * inverse
        out[i, k] = table[ids[i], width] * inverse
