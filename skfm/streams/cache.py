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

from .blocks import Blocks, BlockWriter

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

    def blocks(
        self,
        origin: Any,
        n_rows: int,
        n_columns: int,
        dtype: str,
        write: Callable[[BlockWriter], Any],
    ) -> Blocks:
        """Return the blocks of data that were written before, or write them.

        Parameters
        ----------
        origin : object
            Its representation tells the encoded data from others. None: nothing does,
            and the blocks are temporary.
        n_rows, n_columns : int
        dtype : {"float32", "float64"}
        write : callable
            Writes the rows.

        Raises
        ------
        OSError
            If the directory cannot be written to.
        """
        kept = None
        if self._directory is not None and origin is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            text = repr((origin, n_rows, n_columns, dtype))
            digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
            kept = self._directory / f"{digest}.blocks"
            if kept.exists():
                return Blocks(kept, temporary=False)
        folder = self.temporary_folder()
        try:
            writer = BlockWriter(folder, n_rows, n_columns, np.dtype(dtype))
            write(writer)
            writer.finish()
            if kept is None:
                return Blocks(folder, temporary=True)
            if not kept.exists():  # another fit may have written it meanwhile
                folder.rename(kept)
            return Blocks(kept, temporary=False)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def temporary_folder(self) -> Path:
        """Make a folder that whoever asks for it has to remove."""
        return Path(tempfile.mkdtemp(prefix="skfm-", dir=self._directory))
