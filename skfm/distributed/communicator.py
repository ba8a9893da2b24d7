"""Messages between the processes of a group, called workers."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ..exceptions import WorkerLostError
from ..runtime.lazy import torch

__all__ = [
    "Communicator",
    "LocalCommunicator",
    "TorchCommunicator",
    "gather_objects",
    "gather_values",
]

#: Bytes of a message of objects.
_AT_ONCE = 1 << 26

#: Numbers of rows, one for each worker.
Counts = Sequence[int] | np.ndarray


class Communicator(Protocol):
    """Operations that all workers of a group call in the same order.

    Attributes
    ----------
    rank : int
        Number of this worker.
    size : int
        Number of workers.
    n_bytes : int
        Bytes that this worker has sent to others.
    """

    rank: int
    size: int
    n_bytes: int

    def exchange(self, rows: np.ndarray, sent: Counts, received: Counts) -> np.ndarray:
        """Send rows to each worker, and return the rows that each has sent.

        Parameters
        ----------
        rows : ndarray of shape (sum of ``sent``, ...)
            Rows for worker 0, then those for worker 1, and so on.
        sent, received : sequence of int
            Number of rows for each worker, and from each.

        Raises
        ------
        WorkerLostError
            If a worker has ended, or does not answer.
        """

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the values of all workers, (size, ...), which have one shape."""

    def broadcast(self, values: np.ndarray, source: int) -> None:
        """Overwrite the values by those of worker ``source``."""


class LocalCommunicator:
    """Communicator of a worker that is alone."""

    rank, size, n_bytes = 0, 1, 0

    def exchange(self, rows: np.ndarray, sent: Counts, received: Counts) -> np.ndarray:
        return rows

    def gather(self, values: np.ndarray) -> np.ndarray:
        return values[None]

    def broadcast(self, values: np.ndarray, source: int) -> None:
        """Do nothing."""


class TorchCommunicator:
    """Communicator of a process group of torch.

    Parameters
    ----------
    process_group : torch.distributed.ProcessGroup
        Group with the backend gloo.
    timeout : float
        Seconds that the group waits, for errors.
    """

    def __init__(self, process_group: Any, timeout: float) -> None:
        self._group, self._timeout = process_group, timeout
        self.rank = torch.distributed.get_rank(process_group)
        self.size = torch.distributed.get_world_size(process_group)
        self.n_bytes = 0

    def exchange(self, rows: np.ndarray, sent: Counts, received: Counts) -> np.ndarray:
        to, found = [int(n) for n in sent], [int(n) for n in received]
        out = np.empty((sum(found), *rows.shape[1:]), rows.dtype)
        with self._watching():
            torch.distributed.all_to_all_single(
                torch.from_numpy(out),
                torch.from_numpy(np.require(rows, requirements=["C", "W"])),
                found,
                to,
                group=self._group,
            )
        row_bytes = rows.itemsize * int(np.prod(rows.shape[1:]))
        self.n_bytes += row_bytes * (sum(to) - to[self.rank])
        return out

    def gather(self, values: np.ndarray) -> np.ndarray:
        one = [1] * self.size
        copies = np.repeat(values[None], self.size, axis=0)
        return self.exchange(copies, one, one)

    def broadcast(self, values: np.ndarray, source: int) -> None:
        if not values.size:
            return
        with self._watching():
            torch.distributed.broadcast(
                torch.from_numpy(values), group=self._group, group_src=source
            )
        if source == self.rank:
            self.n_bytes += values.nbytes * (self.size - 1)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise WorkerLostError(
                "Another worker of the group has ended, or has not answered for "
                f"{self._timeout:g} seconds; its own output says why. Start all "
                "workers again: with checkpoint, a fit goes on after its last epoch."
            ) from error


def gather_values(communicator: Communicator, value: Any) -> list[Any]:
    """Return the values of all workers, which can be written as JSON."""
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = communicator.gather(np.array([len(text)]))[:, 0].tolist()
    sent = [len(text)] * communicator.size
    copies = np.tile(text, communicator.size)
    texts = communicator.exchange(copies, sent, lengths)
    ends = np.cumsum([0, *lengths]).tolist()
    return [json.loads(texts[start:stop].tobytes()) for start, stop in pairwise(ends)]


def gather_objects(communicator: Communicator, value: Any) -> Iterator[Any]:
    """Yield the values of all workers, one after the other.

    They are sent as pickles: workers trust each other, as processes that run the same
    script. All workers have to take all values.
    """
    content = np.frombuffer(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), np.uint8)
    lengths = communicator.gather(np.array([len(content)]))[:, 0].tolist()
    for rank, length in enumerate(lengths):
        own = rank == communicator.rank
        found = content.copy() if own else np.empty(length, np.uint8)
        for start in range(0, length, _AT_ONCE):
            communicator.broadcast(found[start : start + _AT_ONCE], rank)
        yield value if own else pickle.loads(found.data)
