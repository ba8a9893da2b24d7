"""The group of processes in which a fit is collective."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from ..runtime.lazy import torch
from .communicator import Communicator, LocalCommunicator, TorchCommunicator

__all__ = ["communicator", "group", "rank", "world_size"]

_current: ContextVar[Communicator | None] = ContextVar("group", default=None)


@contextmanager
def group(*, timeout: float = 600.0) -> Iterator[None]:
    """Make fits on datasets collective, by all processes of a launcher.

    The processes, called workers, are those of a process group of torch if there is
    one, as in Ray Train, and otherwise those that the environment variables of torchrun
    tell of (``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT``). All of them
    have to enter the block, and to call ``fit`` in it with the same parameters and
    data.

    Parameters
    ----------
    timeout : float, default=600.0
        Seconds after which a worker that does not answer is given up. A worker waits
        for others after each pass over the data, and in every training step.

    Raises
    ------
    RuntimeError
        If no launcher has started this process, or a group is entered already.

    Examples
    --------
    >>> import os
    >>> from unittest import mock
    >>> from skfm import distributed
    >>> told = mock.patch.dict(os.environ, RANK="0", WORLD_SIZE="1")  # by torchrun
    >>> with told, distributed.group():
    ...     distributed.rank(), distributed.world_size()
    (0, 1)
    """
    if communicator() is not None:
        raise RuntimeError("a group is entered already: groups are not nested.")
    with _communicator(timeout) as found:
        token = _current.set(found)
        try:
            yield
        finally:
            _current.reset(token)


def rank() -> int:
    """Return the number of this process in its group; 0 outside of a group."""
    found = communicator()
    return 0 if found is None else found.rank


def world_size() -> int:
    """Return the number of processes in the group; 1 outside of a group."""
    found = communicator()
    return 1 if found is None else found.size


def communicator() -> Communicator | None:
    """Return the communicator of the group; None outside of a group."""
    return _current.get()


@contextmanager
def _communicator(timeout: float) -> Iterator[Communicator]:
    distributed, wait = torch.distributed, timedelta(seconds=timeout)
    exists = distributed.is_available() and distributed.is_initialized()
    size = distributed.get_world_size() if exists else _size_told()
    if size == 1:
        yield LocalCommunicator()
        return
    if exists:
        # Another one may be for GPUs, and has its own timeout.
        own = distributed.new_group(backend="gloo", timeout=wait)
    else:
        distributed.init_process_group("gloo", timeout=wait)
        own = None
    try:
        yield TorchCommunicator(own or distributed.group.WORLD, timeout)
    finally:
        distributed.destroy_process_group(own)


def _size_told() -> int:
    """Return the number of processes, of which a launcher has told this one.

    Raises
    ------
    RuntimeError
        If no launcher has.
    """
    try:
        size, own = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    except (KeyError, ValueError) as error:
        raise RuntimeError(
            "skfm.distributed.group() needs processes that a launcher has started, "
            "but the environment variables RANK and WORLD_SIZE are not set. Start the "
            "script by torchrun --nproc-per-node=2 script.py, or leave the block out."
        ) from error
    if not 0 <= own < size:
        raise RuntimeError(f"RANK={own} is no process of WORLD_SIZE={size}.")
    return size
