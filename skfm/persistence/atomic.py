"""Atomic replacement of files."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` when the block ends.

    The temporary file is in the same directory. It is flushed to the disk before it is
    renamed, so that a crash at any moment leaves the old file or the new one. An
    exception in the block removes it. A process that is killed leaves it behind, as
    ``.name.*.tmp``.

    Parameters
    ----------
    path : path-like
        File to replace. A symbolic link is followed.

    Yields
    ------
    binary file
        The temporary file.

    Raises
    ------
    OSError
        If the file cannot be written, or ``path`` is a directory, a device or a pipe.
        The message names ``path``, which is left unchanged.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        reason = "not a regular file; nothing was written"
        raise OSError(errno.EINVAL, reason, os.fspath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            reason = f"{error.strerror}; nothing was written, what was there is kept"
            raise type(error)(error.errno, reason, os.fspath(path)) from error
        raise
    _flush_directory(target.parent)


def _flush_directory(directory: Path) -> None:
    """Flush a directory, so that a renaming survives a loss of power, if possible."""
    with suppress(OSError):  # Windows cannot open directories
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
