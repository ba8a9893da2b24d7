"""The row source of blocks on disk: see `skfm.data.source`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.batch import PREDICTION_BATCH, Batch, batch_bounds
from ..data.labels import Labelled, Labels
from ..data.loader import Loader
from ..data.rows import Rows
from ..data.sampler import Draw
from ..data.source import Epoch, Reading
from ..data.transfer import DeviceBatch
from ..distributed.lanes import Lanes
from ..encoding.hashing import scramble
from .block_writer import BlockWriter
from .blocks import BlockRows, Blocks
from .cache import Cache
from .lane_pools import LanePool

__all__ = ["BlockSource", "LabelledBlocks", "held_out_rows", "hold_out"]

#: Blocks that an epoch mixes at least, if there are as many.
_POOL = 16


@dataclass(frozen=True)
class LabelledBlocks:
    """Rows in blocks, with their labels.

    Attributes
    ----------
    blocks : Blocks
    labels : Labels
        Labels of all rows of the data.
    chosen : ndarray of bool of shape (n_rows of the data,)
        The rows that count; the blocks may hold others.
    dtype : numpy dtype
        Type of the values of batches.
    """

    blocks: Blocks
    labels: Labels
    chosen: np.ndarray
    dtype: np.dtype[Any]

    @property
    def weight(self) -> np.ndarray:
        """Weights of all rows of the data."""
        weight: np.ndarray = self.labels.weight.numpy()
        return weight

    def read(self, number: int, *, weighty: bool = False) -> tuple[Rows, BlockRows]:
        """Return the rows that count in a block, or those of weight above zero."""
        block = self.blocks.read(number)
        keep = self.chosen[block.numbers]
        if weighty:
            keep &= self.weight[block.numbers] > 0
        return self._take(block, keep)

    def pool(self, numbers: np.ndarray) -> tuple[Rows, BlockRows]:
        """Return the rows that count in several blocks together."""
        blocks = [self.read(int(number))[1] for number in numbers]
        block = BlockRows.join(blocks, self.dtype)
        return block.rows(self.blocks.n_columns, self.dtype), block

    def _take(self, block: BlockRows, keep: np.ndarray) -> tuple[Rows, BlockRows]:
        rows = block.rows(self.blocks.n_columns, self.dtype)
        if not keep.all() or self.dtype != self.blocks.dtype:
            batch = rows.take(np.flatnonzero(keep))
            block = BlockRows(batch, block.numbers[keep])
            rows = block.rows(self.blocks.n_columns, self.dtype)
        return rows, block

    def batches(self, reading: Reading, n_threads: int) -> Iterator[Labelled]:
        """Yield all rows that count, as a reader wants them."""
        for number in range(len(self.blocks)):
            rows, block = self.read(number)
            loader = Loader(rows, self.labels.take(block.numbers), reading)
            for lo, hi in batch_bounds(len(rows), PREDICTION_BATCH):
                yield _take(loader, np.arange(lo, hi), reading.lanes, n_threads)


def _take(
    loader: Loader, rows: np.ndarray, lanes: Lanes | None, n_threads: int
) -> Labelled:
    """Gather a batch, or the part of it that lanes have."""
    if lanes is None:
        return loader.take(rows, n_threads)
    bounds = lanes.bounds(len(rows))
    taken = loader.take(lanes.rows(rows), n_threads)
    return taken._replace(bounds=bounds - bounds[0])


def held_out_rows(n_rows: int, fraction: float, seed: int) -> np.ndarray:
    """Choose rows to hold out, (n_rows,), bool: the same ones for any partitioning."""
    start = scramble(np.array([seed], np.uint64))[0]
    hashed = scramble(np.arange(n_rows, dtype=np.uint64) ^ start)
    return hashed < np.uint64(fraction * 2.0**64)


def hold_out(train: LabelledBlocks, chosen: np.ndarray, cache: Cache) -> LabelledBlocks:
    """Write chosen rows into blocks of their own, so that they are read alone."""
    held_out = replace(train, chosen=chosen)

    def add_rows(writer: BlockWriter) -> None:
        for number in range(len(train.blocks)):
            writer.add(held_out.read(number)[1])

    shape = int(chosen.sum()), train.blocks.n_columns
    blocks = cache.write(None, shape, train.dtype.name, add_rows)
    return replace(held_out, blocks=blocks)


class BlockSource:
    """Rows to learn from, and rows held out, in blocks.

    Parameters
    ----------
    train : LabelledBlocks
    held_out : LabelledBlocks or None
    """

    def __init__(
        self, train: LabelledBlocks, held_out: LabelledBlocks | None = None
    ) -> None:
        self._train, self._held_out = train, held_out
        self.n_columns, self.n_rows = train.blocks.n_columns, int(train.chosen.sum())
        self.has_held_out = held_out is not None

    def longest(self) -> int:
        longest = self._train.blocks.longest
        if self._held_out is None:
            return longest
        return max(longest, self._held_out.blocks.longest)

    def mean_length(self) -> float:
        blocks = self._train.blocks
        return blocks.n_entries / max(1, blocks.n_rows)

    def mean_pairs(self) -> float:
        blocks = self._train.blocks
        return blocks.n_pairs / max(1, blocks.n_rows)

    def weighty(self) -> Iterator[Batch]:
        for number in range(len(self._train.blocks)):
            yield self._train.read(number, weighty=True)[1].batch

    def sample(self, n_rows: int) -> Labelled:
        part = self._held_out or self._train
        blocks, found, number = [], 0, 0
        while found < n_rows and number < len(part.blocks):
            blocks.append(part.read(number, weighty=True)[1])
            found, number = found + len(blocks[-1].numbers), number + 1
        rows = BlockRows.join(blocks, part.dtype)
        stop = min(found, n_rows)
        return Labelled(
            rows.batch.slice(0, stop), part.labels.take(rows.numbers[:stop])
        )

    def held_out_query(self) -> np.ndarray:
        raise AssertionError("rows in blocks are not ranked")

    def feed(self, reading: Reading) -> BlockFeed:
        return BlockFeed(self._train, self._held_out, reading)

    def origins(self) -> Iterator[Any]:
        for part in (self._train, self._held_out):
            if part is not None:
                blocks = part.blocks
                yield from (blocks.n_columns, blocks.dtype, blocks.checksums)
                yield from (part.labels.target, part.labels.weight, part.chosen)


class BlockFeed:
    """The batches of a `BlockSource`.

    Parameters
    ----------
    train : LabelledBlocks
    held_out : LabelledBlocks or None
    reading : Reading
    """

    def __init__(
        self,
        train: LabelledBlocks,
        held_out: LabelledBlocks | None,
        reading: Reading,
    ) -> None:
        self._train, self._held_out = train, held_out or train
        self._reading = reading
        self.mean_weight = float(train.labels.weight.numpy()[train.chosen].mean())
        self._counts = train.blocks.count(train.chosen)

    def epoch(self, rng: np.random.Generator, n_threads: int) -> Epoch:
        # All draws at once: blocks are read by another thread.
        order, seed = rng.permutation(len(self._counts)), rng.integers(2**62)
        # A pool has rows for a batch.
        most = int(self._counts.sum()) // self._reading.batch_size
        groups = np.array_split(order, max(1, min(len(order) // _POOL, most)))
        sizes = [int(self._counts[group].sum()) for group in groups]
        pairs = zip(groups, sizes, strict=True)
        groups = [group for group, size in pairs if size]
        n_batches = sum(self._n_batches(size) for size in sizes)
        return Epoch(n_batches, self._batches(groups, int(seed), n_threads))

    def _n_batches(self, n_rows: int) -> int:
        """Number of batches of a pool, which are of about the same size."""
        if not n_rows:
            return 0
        return max(1, round(n_rows / self._reading.batch_size))

    def _batches(
        self, groups: list[np.ndarray], seed: int, n_threads: int
    ) -> Iterator[Labelled]:
        rng, lanes = np.random.default_rng(seed), self._reading.lanes
        parts = [] if lanes is None else [self._part(g, lanes) for g in groups]
        numbers = [part.numbers for part in parts] or groups
        pools = _one_ahead(self._train.pool, numbers, n_threads)
        for i, (rows, block) in enumerate(pools):
            labels = self._train.labels.take(block.numbers)
            loader = Loader(rows, labels, self._reading)
            if parts:
                draws = parts[i].draws(int(rng.integers(2**62)))
            else:
                order = rng.permutation(len(rows))
                pieces = np.array_split(order, self._n_batches(len(rows)))
                draws = [Draw(piece) for piece in pieces]
            yield from loader.batches(draws, n_threads)

    def _part(self, group: np.ndarray, lanes: Lanes) -> LanePool:
        """Return the part of a pool that this process reads."""
        counts = self._counts[group]
        return LanePool.of(group, counts, lanes, self._n_batches(int(counts.sum())))

    def first(self) -> Batch | DeviceBatch:
        rows, block = self._train.read(int(np.argmax(self._counts > 0)))
        loader = Loader(rows, self._train.labels.take(block.numbers), self._reading)
        return loader.take(np.arange(min(len(rows), PREDICTION_BATCH))).batch

    def held_out(self, n_threads: int) -> Iterator[Labelled]:
        return self._held_out.batches(self._reading, n_threads)


def _one_ahead(
    task: Callable[[Any], Any], items: list[Any], n_threads: int
) -> Iterator[Any]:
    """Yield ``task(item)`` in order; with several threads, one of them reads ahead.

    It is a thread of its own: on the pool that gathers batches, these would wait.
    """
    if n_threads == 1 or len(items) < 2:
        yield from map(task, items)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="skfm-blocks") as pool:
        ahead = pool.submit(task, items[0])
        for item in items[1:]:
            ready = ahead.result()
            ahead = pool.submit(task, item)
            yield ready
            del ready
        yield ahead.result()
