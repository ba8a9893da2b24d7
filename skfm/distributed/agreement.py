"""Steps of several workers that all of them take, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import WorkerLostError
from .communicator import Communicator, gather_values

__all__ = ["Agreement", "agreeing", "check_same"]

#: Types of errors that workers raise for another, the first that fits.
_KINDS: list[type[Exception]] = [
    ValueError,
    TypeError,
    MemoryError,
    OSError,
    RuntimeError,
    Exception,
]
#: Attribute of the errors that all workers know of.
_KNOWN = "_known_to_all_workers"


@dataclass
class Agreement:
    """Result of a block of `agreeing`.

    Attributes
    ----------
    value : object
        Value of this worker, which can be written as JSON. The block sets it.
    values : list
        Values of all workers, after the block.
    """

    value: Any = None
    values: list[Any] = field(default_factory=list)


@contextmanager
def agreeing(communicator: Communicator | None) -> Iterator[Agreement]:
    """Raise an error of one worker on all of them, at the end of the block.

    All workers enter the block. If no error is raised in it, they exchange values at
    its end. Blocks may be nested, but within the outer one, every message to another
    worker is an inner block, or follows one immediately: a worker that has failed
    between two inner blocks tells the others when they are at the end of the second.

    Parameters
    ----------
    communicator : Communicator or None
        None: there is one worker.
    """
    agreement = Agreement()
    if communicator is None:
        yield agreement
        agreement.values = [agreement.value]
        return
    error: Exception | None = None
    try:
        yield agreement
    except Exception as raised:
        # Workers that are lost cannot be told.
        if isinstance(raised, WorkerLostError) or hasattr(raised, _KNOWN):
            raise
        error = raised
    told = [None, agreement.value] if error is None else [_describe(error), None]
    found = gather_values(communicator, told)
    if error is None:
        error = _first_of([failure for failure, _ in found])
    if error is not None:
        setattr(error, _KNOWN, True)
        raise error
    agreement.values = [value for _, value in found]


def _describe(error: Exception) -> tuple[int, str]:
    kinds = [i for i, kind in enumerate(_KINDS) if isinstance(error, kind)]
    return kinds[0], str(error)


def _first_of(failures: list[Any]) -> Exception | None:
    """Return the error of the first worker that has failed, if there is one."""
    for rank, failure in enumerate(failures):
        if failure is not None:
            kind, message = failure
            return _KINDS[kind](f"Worker {rank} has failed: {message}")
    return None


def check_same(communicator: Communicator, value: Any) -> None:
    """Raise an error if a value is not the same on all workers.

    Parameters
    ----------
    communicator : Communicator
    value : object
        Value that tells what is fitted, and can be written as JSON.

    Raises
    ------
    ValueError
        If this is the case.
    """
    with agreeing(communicator) as agreement:
        agreement.value = value
    if any(found != agreement.values[0] for found in agreement.values):
        raise ValueError(
            "The workers of the group do not fit the same model to the same data. "
            "Pass the same dataset, parameters and random_state to all, and install "
            "the same versions of torch and numpy."
        )
