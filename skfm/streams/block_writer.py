"""Writer of encoded rows into blocks on disk: see `skfm.streams.blocks`."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..data.batch import Batch
from .blocks import FORMAT, HEADER, INDEX, BlockRows, block_of, path_of

__all__ = ["BlockWriter"]

#: Bytes of the entries of a block in memory: enough to read at once, few enough that
#: many blocks fit into memory. Blocks grow before they become more than `_MANY`.
_BLOCK_BYTES, _LARGE_BLOCK_BYTES, _MANY = 1 << 22, 1 << 24, 1 << 12
#: Bytes of the entries that wait to be written.
_BUFFER_BYTES = 1 << 25
_ENTRY_BYTES = 8


class BlockWriter:
    """Writes encoded rows into blocks, each row into one that its number decides.

    The blocks are the same however the rows are cut into calls of `add`, as long as
    these have many rows.

    Parameters
    ----------
    folder : path
        Empty folder.
    n_rows : int
        Number of rows to come; fewer may come.
    n_columns : int
    dtype : numpy dtype
        Type of the values.
    """

    def __init__(
        self, folder: Path, n_rows: int, n_columns: int, dtype: np.dtype[Any]
    ) -> None:
        self.dtype, self.folder, self._expected = dtype, folder, n_rows
        self._n_columns, self._n_blocks = n_columns, 0
        self._waiting: list[BlockRows] = []
        self._n_waiting = 0
        self._sizes = np.empty((0, 2), np.int64)
        self._checksums: list[int] = []
        counted = ("rows", "entries", "pairs", "values", "longest")
        self._totals = dict.fromkeys(counted, 0)

    def add(self, rows: BlockRows) -> None:
        """Write rows, now or later."""
        if not len(rows.numbers):
            return
        lengths = np.diff(rows.batch.indptr)
        totals = self._totals
        totals["rows"] += len(lengths)
        totals["entries"] += int(lengths.sum())
        totals["pairs"] += int((lengths * (lengths - 1) // 2).sum())
        totals["longest"] = max(totals["longest"], int(lengths.max(initial=0)))
        self._waiting.append(rows)
        self._n_waiting += len(rows.batch.columns)
        if self._n_waiting * _ENTRY_BYTES >= _BUFFER_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and the index."""
        self._flush()
        kept = np.flatnonzero(self._sizes[:, 0])
        # Few rows may leave blocks without any.
        for number, old in enumerate(kept.tolist()):
            if number != old:
                path_of(self.folder, old).rename(path_of(self.folder, number))
        index = {
            "format": FORMAT,
            "columns": self._n_columns,
            "dtype": self.dtype.name,
            "hashed": self._n_blocks,
            "kept": kept.tolist(),
            "blocks": self._sizes[kept].tolist(),
            "checksums": [self._checksums[i] for i in kept],
            **self._totals,
        }
        text = json.dumps(index)
        (self.folder / INDEX).write_text(text, encoding="utf-8")

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = BlockRows.join(self._waiting, self.dtype)
        self._waiting, self._n_waiting = [], 0
        if not self._n_blocks:
            self._n_blocks = self._choose_number(rows)
            self._sizes = np.zeros((self._n_blocks, 2), np.int64)
            self._checksums = [0] * self._n_blocks
        blocks = block_of(rows.numbers, self._n_blocks)
        order = np.argsort(blocks, kind="stable")
        found, starts = np.unique(blocks[order], return_index=True)
        batch = rows.rows(self._n_columns, self.dtype).take(order)
        stops = np.append(starts[1:], len(order))
        for block, lo, hi in zip(found.tolist(), starts, stops, strict=True):
            self._append(block, batch.slice(lo, hi), rows.numbers[order[lo:hi]])

    def _choose_number(self, rows: BlockRows) -> int:
        """Return the number of blocks, given the first rows."""
        share = len(rows.batch.columns) / max(1, len(rows.numbers))
        n_bytes = share * _ENTRY_BYTES * self._expected
        most = max(_MANY, n_bytes / _LARGE_BLOCK_BYTES)
        return max(1, int(min(n_bytes / _BLOCK_BYTES, most)))

    def _append(self, block: int, batch: Batch, numbers: np.ndarray) -> None:
        values = batch.values
        others = values != 1
        n_values = int(others.sum())
        self._totals["values"] += n_values
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
        self._sizes[block] += len(batch), len(content)
        self._checksums[block] = zlib.crc32(content, self._checksums[block])
