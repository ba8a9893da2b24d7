"""Writer of encoded rows into blocks on disk: see `skfm.streams.blocks`."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..data.batch import Batch
from .blocks import FORMAT, HEADER, INDEX, BlockRows, block_of, path_of

__all__ = ["PLANNED_ROWS", "BlockWriter", "write_index"]

#: Bytes of the entries of a block in memory: enough to read at once, few enough that
#: many blocks fit into memory. Blocks grow before they become more than `_MANY`.
_BLOCK_BYTES, _LARGE_BLOCK_BYTES, _MANY = 1 << 22, 1 << 24, 1 << 12
#: Bytes of the entries that wait to be written.
_BUFFER_BYTES = 1 << 25
_ENTRY_BYTES = 8
#: First rows that determine the number of blocks.
PLANNED_ROWS = 1 << 12


class BlockWriter:
    """Writes encoded rows into blocks, each row into one that its number decides.

    Parameters
    ----------
    folder : path
        Empty folder.
    n_rows : int
        Number of rows of the data, which may be more than come.
    n_columns : int
    dtype : numpy dtype
        Type of the values.

    Attributes
    ----------
    sizes : ndarray of int64 of shape (n_blocks, 2)
        Rows and bytes of each block so far.
    checksums : list of int
        Checksum of the bytes of each block.
    totals : dict of str to int
        Numbers of all rows so far; see `skfm.streams.blocks.Blocks`.
    """

    def __init__(
        self, folder: Path, n_rows: int, n_columns: int, dtype: np.dtype[Any]
    ) -> None:
        self.dtype, self.folder, self._expected = dtype, folder, n_rows
        self.n_columns = n_columns
        self._waiting: list[BlockRows] = []
        self._n_waiting = 0
        self.sizes = np.empty((0, 2), np.int64)
        self.checksums: list[int] = []
        counted = ("rows", "entries", "pairs", "values", "longest")
        self.totals = dict.fromkeys(counted, 0)

    def plan(self, rows: BlockRows) -> None:
        """Choose the number of blocks, given the first rows of the data."""
        n_rows = min(len(rows.numbers), PLANNED_ROWS)
        share = int(rows.batch.indptr[n_rows]) / max(1, n_rows)
        n_bytes = share * _ENTRY_BYTES * self._expected
        most = max(_MANY, n_bytes / _LARGE_BLOCK_BYTES)
        n_blocks = max(1, int(min(n_bytes / _BLOCK_BYTES, most)))
        self.sizes = np.zeros((n_blocks, 2), np.int64)
        self.checksums = [0] * n_blocks

    def add(self, rows: BlockRows) -> None:
        """Write rows, now or later."""
        if not len(rows.numbers):
            return
        lengths = np.diff(rows.batch.indptr)
        totals = self.totals
        totals["rows"] += len(lengths)
        totals["entries"] += int(lengths.sum())
        totals["pairs"] += int((lengths * (lengths - 1) // 2).sum())
        totals["longest"] = max(totals["longest"], int(lengths.max(initial=0)))
        self._waiting.append(rows)
        self._n_waiting += len(rows.batch.columns)
        if self._n_waiting * _ENTRY_BYTES >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if not self._waiting:
            return
        rows = BlockRows.join(self._waiting, self.dtype)
        self._waiting, self._n_waiting = [], 0
        if not len(self.sizes):
            self.plan(rows)
        numbers, batch, order = rows.numbers, rows.batch, self.order(rows.numbers)
        assert order is not None
        if (order[1:] < order[:-1]).any():
            numbers = numbers[order]
            batch = rows.rows(self.n_columns, self.dtype).take(order)
        blocks = block_of(numbers, len(self.sizes))
        found, starts = np.unique(blocks, return_index=True)
        stops = np.append(starts[1:], len(order))
        for block, lo, hi in zip(found.tolist(), starts, stops, strict=True):
            self._append(block, batch.slice(lo, hi), numbers[lo:hi])

    def order(self, numbers: np.ndarray) -> np.ndarray | None:
        """Return the order of rows by block; None before blocks are planned."""
        if not len(self.sizes):
            return None
        return np.argsort(block_of(numbers, len(self.sizes)), kind="stable")

    def finish(self) -> None:
        """Write what is left, and the index."""
        self.flush()
        write_index(self)

    def _append(self, block: int, batch: Batch, numbers: np.ndarray) -> None:
        values = batch.values
        others = values != 1
        n_values = int(others.sum())
        self.totals["values"] += n_values
        header = np.array([(len(batch), len(batch.columns), n_values)], HEADER)
        parts = [
            header,
            numbers.astype("<i8"),
            np.diff(batch.indptr).astype("<i4"),
            batch.columns.astype("<i4"),
        ]
        if n_values:
            little = self.dtype.newbyteorder("<")
            parts += [np.packbits(others), values[others].astype(little)]
        content = b"".join(part.tobytes() for part in parts)
        with path_of(self.folder, block).open("ab") as file:
            file.write(content)
        self.sizes[block] += len(batch), len(content)
        self.checksums[block] = zlib.crc32(content, self.checksums[block])


def write_index(writer: BlockWriter) -> None:
    """Write the index of the blocks that are in the folder of a writer."""
    kept = np.flatnonzero(writer.sizes[:, 0])
    # Few rows may leave blocks without any.
    for number, old in enumerate(kept.tolist()):
        if number != old:
            path_of(writer.folder, old).rename(path_of(writer.folder, number))
    index = {
        "format": FORMAT,
        "columns": writer.n_columns,
        "dtype": writer.dtype.name,
        "hashed": len(writer.sizes),
        "kept": kept.tolist(),
        "blocks": writer.sizes[kept].tolist(),
        "checksums": [writer.checksums[i] for i in kept],
        **writer.totals,
    }
    text = json.dumps(index)
    (writer.folder / INDEX).write_text(text, encoding="utf-8")
