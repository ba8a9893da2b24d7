"""Errors that all workers of a group raise together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .communicator import Communicator, gather_values

__all__ = ["agreeing"]

#: Types of errors that workers raise for another, the first that fits.
_KINDS: list[type[Exception]] = [
    ValueError,
    TypeError,
    MemoryError,
    OSError,
    RuntimeError,
    Exception,
]


@contextmanager
def agreeing(communicator: Communicator | None) -> Iterator[None]:
    """Raise an error of one worker on all of them, at the end of the block.

    All workers enter the block, in which none of them sends anything to another.

    Parameters
    ----------
    communicator : Communicator or None
        None: do nothing.
    """
    if communicator is None:
        yield
        return
    error: Exception | None = None
    try:
        yield
    except Exception as raised:
        error = raised
    told = gather_values(communicator, None if error is None else _describe(error))
    if error is not None:
        raise error
    for rank, found in enumerate(told):
        if found is not None:
            kind, message = found
            raise _KINDS[kind](f"Worker {rank} has failed: {message}")


def _describe(error: Exception) -> tuple[int, str]:
    kinds = [i for i, kind in enumerate(_KINDS) if isinstance(error, kind)]
    return kinds[0], str(error)
