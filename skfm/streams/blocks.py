"""Encoded rows on disk, in blocks of rows from all over the data.

A block is a file of pieces: the rows of it that were written at one time. All numbers
are little-endian; a piece has a header of `HEADER`, the numbers of its rows (int64),
their lengths (int32), the columns of the entries (int32) and, if some value is not one,
a bit for each entry that tells so, and these values.
"""

from __future__ import annotations

import json
import shutil
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..data.batch import Batch
from ..data.rows import Rows
from ..encoding.hashing import scramble

__all__ = ["FORMAT", "HEADER", "INDEX", "BlockRows", "Blocks", "block_of", "path_of"]

#: Rows whose blocks are computed at once.
_AT_ONCE = 1 << 22
#: Header of a piece.
HEADER = np.dtype([("rows", "<i8"), ("entries", "<i8"), ("values", "<i8")])
#: File with the sizes of all blocks.
INDEX = "index.json"
#: Version of the encoding and of the files; a cache of another one is not read.
FORMAT = 2


class BlockRows(NamedTuple):
    """Rows of a block, and their numbers in the data."""

    batch: Batch
    numbers: np.ndarray

    def rows(self, n_columns: int, dtype: np.dtype[Any]) -> Rows:
        """Return the rows as `Rows`, which batches are gathered from."""
        return Rows(self.matrix(n_columns, dtype), dtype.name)

    def matrix(self, n_columns: int, dtype: np.dtype[Any]) -> Any:
        """Return the rows as a canonical CSR array."""
        batch = self.batch
        values = batch.values
        if not len(values):
            values = np.broadcast_to(np.ones(1, dtype), len(batch.columns))
        X = sp.csr_array((len(batch), n_columns))
        X.indptr, X.indices, X.data = batch.indptr, batch.columns, values
        return X

    @classmethod
    def join(cls, parts: list[BlockRows], dtype: np.dtype[Any]) -> BlockRows:
        """Return the rows of several blocks, one after the other."""
        batches = [part.batch for part in parts]
        lengths = np.concatenate([np.diff(batch.indptr) for batch in batches])
        indptr = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        values = np.empty(0, dtype)
        if any(len(batch.values) for batch in batches):
            values = np.concatenate([_values(batch, dtype) for batch in batches])
        columns = np.concatenate([batch.columns for batch in batches])
        numbers = np.concatenate([part.numbers for part in parts])
        return cls(Batch(indptr, columns, values), numbers)


def _values(batch: Batch, dtype: np.dtype[Any]) -> np.ndarray:
    if len(batch.values):
        return batch.values
    return np.ones(len(batch.columns), dtype)


class Blocks:
    """Blocks of encoded rows in a folder, which are read but never changed.

    Parameters
    ----------
    folder : path
        Folder that a `skfm.streams.block_writer.BlockWriter` has finished.
    temporary : bool
        Whether the folder is removed with this object.

    Attributes
    ----------
    n_rows, n_columns, n_entries, n_pairs, n_values, longest : int
        Numbers of rows, columns, entries, pairs of entries of a row, entries that are
        not one, and entries of the longest row.
    dtype : numpy dtype
        Type of the values.

    Raises
    ------
    ValueError
        If the folder holds something else.
    """

    def __init__(self, folder: Path, *, temporary: bool) -> None:
        self.folder = folder
        if temporary:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            self.n_rows, self.n_columns = int(index["rows"]), int(index["columns"])
            self.n_entries, self.n_pairs = int(index["entries"]), int(index["pairs"])
            self.n_values = int(index["values"])
            self.longest, self.dtype = int(index["longest"]), np.dtype(index["dtype"])
            self._sizes = [(int(a), int(b)) for a, b in index["blocks"]]
            self.checksums = [int(number) for number in index["checksums"]]
            self._hashed, self._kept = int(index["hashed"]), list(index["kept"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged("its index cannot be read") from error

    def __len__(self) -> int:
        return len(self._sizes)

    def read(self, number: int) -> BlockRows:
        """Return a block.

        Raises
        ------
        ValueError
            If the file is not as it was written.
        """
        try:
            content = path_of(self.folder, number).read_bytes()
        except OSError as error:
            raise self._damaged(f"block {number} cannot be read") from error
        n_rows, n_bytes = self._sizes[number]
        if len(content) != n_bytes or zlib.crc32(content) != self.checksums[number]:
            raise self._damaged(f"block {number} has changed")
        pieces = list(_pieces(content, self.dtype))
        block = BlockRows.join(pieces, self.dtype)
        if len(block.numbers) != n_rows or not self._holds(block):
            raise self._damaged(f"block {number} has other rows")
        return block

    def _holds(self, block: BlockRows) -> bool:
        """Return whether rows can be of these data: kernels do not check indices."""
        indptr, columns = block.batch.indptr, block.batch.columns
        inside = 0 <= columns.min(initial=0) <= columns.max(initial=0) < self.n_columns
        ascends = indptr[-1] == len(columns) and (indptr[1:] >= indptr[:-1]).all()
        return bool(inside and ascends)

    def count(self, chosen: np.ndarray) -> np.ndarray:
        """Return how many of the chosen rows are in each block.

        Parameters
        ----------
        chosen : ndarray of bool
            Mask of all rows of the data. All chosen rows must be in some block.
        """
        counts = np.zeros(self._hashed, np.int64)
        for start in range(0, len(chosen), _AT_ONCE):
            numbers = start + np.flatnonzero(chosen[start : start + _AT_ONCE])
            places = block_of(numbers, self._hashed)
            counts += np.bincount(places, minlength=self._hashed)
        return counts[self._kept]

    def _damaged(self, what: str) -> ValueError:
        return ValueError(
            f"The cache {str(self.folder)!r} is damaged: {what}. Remove the folder; "
            "the next fit writes it anew."
        )


def block_of(numbers: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the block of each row, by its number."""
    hashed = scramble(numbers.astype(np.uint64))
    return (hashed % np.uint64(n_blocks)).astype(np.int64)


def path_of(folder: Path, number: int) -> Path:
    """Return the file of a block."""
    return folder / f"block-{number:06}"


def _pieces(content: bytes, dtype: np.dtype[Any]) -> Iterator[BlockRows]:
    at = 0

    def take(kind: Any, n: int) -> np.ndarray:
        nonlocal at
        found = np.frombuffer(content, kind, n, at)
        at += found.nbytes
        return found

    while at < len(content):
        n_rows, n_entries, n_values = take(HEADER, 1)[0].tolist()
        numbers, lengths = take("<i8", n_rows), take("<i4", n_rows)
        indptr = np.zeros(n_rows + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        columns, values = take("<i4", n_entries), np.empty(0, dtype)
        if n_values:
            bits = take(np.uint8, -(-n_entries // 8))
            values = np.ones(n_entries, dtype)
            others = np.unpackbits(bits, count=n_entries).view(bool)
            values[others] = take(dtype.newbyteorder("<"), n_values)
        yield BlockRows(Batch(indptr, columns, values), numbers)
