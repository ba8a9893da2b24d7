"""Workers of a group that are threads of this process."""

import hashlib
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skfm.distributed import groups
from skfm.exceptions import WorkerLostError


class Room:
    """Where threads meet: the values of each of their operations."""

    def __init__(self, size):
        self.size, self.closed = size, False
        self._values, self._changed = defaultdict(dict), threading.Condition()

    def meet(self, operation, rank, value):
        """Return the values of all threads, when all have come."""
        with self._changed:
            values = self._values[operation]
            values[rank] = value
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: len(values) == self.size or self.closed, timeout=60
            )
        if len(values) < self.size:
            raise WorkerLostError("a thread has ended")
        return [values[i] for i in range(self.size)]

    def close(self):
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class ThreadCommunicator:
    """Communicator of one of several threads; see `run_workers`."""

    def __init__(self, rank, room):
        self.rank, self.size, self.n_bytes = rank, room.size, 0
        self._room, self._count = room, 0

    def exchange(self, rows, sent, received):
        pieces = np.split(rows, np.cumsum(sent)[:-1])
        self.n_bytes += sum(p.nbytes for i, p in enumerate(pieces) if i != self.rank)
        found = [given[self.rank] for given in self._meet(pieces)]
        assert [len(piece) for piece in found] == list(received)
        return np.concatenate(found)

    def gather(self, values):
        self.n_bytes += values.nbytes * (self.size - 1)
        return np.stack(self._meet(values.copy()))

    def broadcast(self, values, source):
        values[...] = self._meet(values.copy())[source]

    def _meet(self, value):
        self._count += 1
        return self._room.meet(self._count, self.rank, value)


def run_workers(size, task):
    """Return what ``task(rank)`` returns or raises in each of so many workers."""
    room = Room(size)

    def work(rank):
        token = groups._current.set(ThreadCommunicator(rank, room))
        try:
            return task(rank)
        except Exception as error:
            room.close()
            return error
        finally:
            groups._current.reset(token)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, range(size)))


def digest(model):
    """Digest of all that a fit has found."""
    found = hashlib.blake2b(digest_size=8)
    for name, array in sorted(model.network_.arrays().items()):
        found.update(name.encode() + array.tobytes())
    for name in ("loss_curve_", "validation_scores_", "n_iter_", "best_iter_"):
        found.update(repr(getattr(model, name)).encode())
    return found.hexdigest()
