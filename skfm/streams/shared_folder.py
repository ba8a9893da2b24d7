"""Blocks that several workers write together, into a folder that all of them reach.

Each worker writes the blocks of its own rows. Then each joins a share of the blocks, in
the order of the rows: the files are those that one process writes.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..distributed.agreement import agreeing
from ..distributed.communicator import Communicator
from .block_writer import BlockWriter, write_index
from .blocks import Blocks, path_of
from .cache import Cache

__all__ = ["find_everywhere", "write_together"]


def find_everywhere(
    cache: Cache, origin: Any, workers: Communicator | None
) -> Blocks | None:
    """Return the blocks of data that all workers find in their caches, or None.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    with agreeing(workers) as agreement:
        blocks = cache.find(origin)
        agreement.value = blocks is not None
    return blocks if all(agreement.values) else None


def write_together(
    cache: Cache,
    origin: Any,
    shape: tuple[int, int],
    dtype: str,
    add_rows: Callable[[BlockWriter], Any],
    describe: Callable[[Path], Any],
    workers: Communicator,
) -> Blocks | None:
    """Write data into blocks, of which each worker adds its rows. All call this.

    Parameters
    ----------
    cache, origin, shape, dtype, add_rows, describe
        As in `skfm.streams.cache.Cache.write`.
    workers : Communicator

    Returns
    -------
    Blocks or None
        None, and nothing is written, if the workers share no folder.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    folder = _folder_of_all(cache, workers)
    if folder is None:
        return None
    try:
        own = folder / f"worker-{workers.rank}"
        with agreeing(workers) as agreement:
            own.mkdir()
            writer = BlockWriter(own, *shape, np.dtype(dtype))
            add_rows(writer)
            writer.flush()
            agreement.value = [writer.sizes.tolist(), writer.totals]
        writer.folder = folder
        _add_up(writer, agreement.values)
        _join_blocks(writer, workers)
        return _finish(cache, origin, writer, describe, workers)
    except BaseException:
        if workers.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _folder_of_all(cache: Cache, workers: Communicator) -> Path | None:
    """Make a folder by the first worker; return None if not all can write to it."""
    with agreeing(workers) as agreement:
        agreement.value = str(cache.new_folder()) if workers.rank == 0 else ""
    folder = Path(agreement.values[0])
    with agreeing(workers) as agreement:
        agreement.value = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    if all(agreement.values):
        return folder
    if workers.rank == 0:
        folder.rmdir()
    return None


def _add_up(writer: BlockWriter, told: list[Any]) -> None:
    """Set the sizes and totals of a writer to those of all workers."""
    writer.sizes = np.sum([sizes for sizes, _ in told], axis=0)
    for name in writer.totals:
        numbers = [totals[name] for _, totals in told]
        writer.totals[name] = max(numbers) if name == "longest" else sum(numbers)


def _join_blocks(writer: BlockWriter, workers: Communicator) -> None:
    """Join what workers have written of each block, and set the checksums."""
    mine = slice(workers.rank, None, workers.size)
    with agreeing(workers) as agreement:
        numbers = range(len(writer.sizes))[mine]
        agreement.value = [
            _join_block(writer.folder, number, workers.size) for number in numbers
        ]
    checksums = np.zeros(len(writer.sizes), np.int64)
    for rank, found in enumerate(agreement.values):
        checksums[rank :: workers.size] = found
    writer.checksums = checksums.tolist()


def _join_block(folder: Path, number: int, n_workers: int) -> int:
    """Join a block, and return its checksum."""
    checksum = 0
    for rank in range(n_workers):
        part = path_of(folder / f"worker-{rank}", number)
        if part.exists():
            content = part.read_bytes()
            with path_of(folder, number).open("ab") as file:
                file.write(content)
            checksum = zlib.crc32(content, checksum)
            part.unlink()
    return checksum


def _finish(
    cache: Cache,
    origin: Any,
    writer: BlockWriter,
    describe: Callable[[Path], Any],
    workers: Communicator,
) -> Blocks:
    """Let the first worker complete the folder, and return its blocks."""
    blocks = None
    with agreeing(workers) as agreement:
        if workers.rank == 0:
            for rank in range(workers.size):
                (writer.folder / f"worker-{rank}").rmdir()
            write_index(writer)
            describe(writer.folder)
            blocks = cache.keep(origin, writer.folder)
            agreement.value = str(blocks.folder)
    if blocks is None:
        # The first worker removes the folder if it is temporary.
        blocks = Blocks(Path(agreement.values[0]), temporary=False)
    return blocks
