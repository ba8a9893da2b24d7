"""Folders of encoded data: temporary ones, and a cache that later fits read."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .block_writer import BlockWriter
from .blocks import FORMAT, Blocks

__all__ = ["Cache"]


class Cache:
    """A place for encoded data.

    Parameters
    ----------
    directory : path-like or None
        Directory that keeps what is written. None: each folder is temporary, and is
        removed with the object that reads it.
    """

    def __init__(self, directory: str | os.PathLike[str] | None) -> None:
        self._directory = None if directory is None else Path(directory)

    def find(self, origin: Any) -> Blocks | None:
        """Return the blocks of data that were written before, if they are here.

        Parameters
        ----------
        origin : object
            Its representation tells the encoded data from others. None: nothing does,
            and the blocks are temporary.

        Raises
        ------
        ValueError
            If they are damaged.
        """
        kept = self._kept(origin)
        if kept is None or not kept.exists():
            return None
        return Blocks(kept, temporary=False)

    def write(
        self,
        origin: Any,
        shape: tuple[int, int],
        dtype: str,
        add_rows: Callable[[BlockWriter], Any],
        describe: Callable[[Path], Any] = lambda folder: None,
    ) -> Blocks:
        """Write data into blocks.

        Parameters
        ----------
        origin : object
            As in `find`.
        shape : (int, int)
            Numbers of rows and columns.
        dtype : {"float32", "float64"}
        add_rows : callable
            Adds the rows to a writer.
        describe : callable, default=no other files
            Writes further files to the folder of the blocks.

        Raises
        ------
        OSError
            If the directory cannot be written to.
        """
        folder = self.new_folder()
        try:
            writer = BlockWriter(folder, *shape, np.dtype(dtype))
            add_rows(writer)
            writer.finish()
            describe(folder)
            return self.keep(origin, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def new_folder(self) -> Path:
        """Make an empty folder for blocks."""
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="skfm-", dir=self._directory))

    def keep(self, origin: Any, folder: Path) -> Blocks:
        """Return the blocks of a folder, and keep them where `find` looks."""
        kept = self._kept(origin)
        if kept is None:
            return Blocks(folder, temporary=True)
        if kept.exists():  # another fit has written it meanwhile
            shutil.rmtree(folder)
        else:
            folder.rename(kept)
        return Blocks(kept, temporary=False)

    def _kept(self, origin: Any) -> Path | None:
        """Return the folder that keeps the data; None if none does."""
        if self._directory is None or origin is None:
            return None
        text = repr((FORMAT, origin))
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return self._directory / f"{digest}.blocks"
