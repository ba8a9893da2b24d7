"""Threads of one fit or predict: how many, who runs the kernels, and restoring them.

The engine's kernels release the GIL and work on a range of rows or columns, so a small
pool of Python threads runs them. Unlike an OpenMP team the pool does not spin between
regions, survives a fork, and may be entered from several Python threads at once.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

import joblib
import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Chunks per thread: enough to even out a slow core, few enough to cost nothing.
_CHUNKS_PER_THREAD = 8

_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Turn scikit-learn's ``n_jobs`` into a number of threads (None: all usable cores).

    Raises
    ------
    ValueError
        If ``n_jobs`` is 0.
    """
    if n_jobs == 0:
        raise ValueError("n_jobs=0 has no meaning; pass None, -1 or a positive integer")
    if n_jobs is None:
        return max(1, min(_cpu_count(), torch_threads.unborrowed()))
    return n_jobs if n_jobs > 0 else max(1, _cpu_count() + 1 + n_jobs)


@functools.cache
def _cpu_count() -> int:
    """Cores that this process may use; asking takes as long as scoring some rows."""
    return int(joblib.cpu_count())


_own = threading.local()


@contextmanager
def team(n_threads: int) -> Iterator[None]:
    """Threads of its own for what the calling thread hands out meanwhile.

    There are ``n_threads - 1`` of them, so that work in the background delays helpers
    rather than compete with them and the caller for ``n_threads`` cores.
    """
    outer = getattr(_own, "pool", None)
    pool = ThreadPoolExecutor(max(1, n_threads - 1), thread_name_prefix="skfm-team")
    _own.pool = pool
    try:
        yield
    finally:
        _own.pool = outer
        pool.shutdown(cancel_futures=True)


def _executor() -> ThreadPoolExecutor:
    global _pool
    own: ThreadPoolExecutor | None = getattr(_own, "pool", None)
    if own is not None:
        return own
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(
                max(1, (os.cpu_count() or 1)), thread_name_prefix="skfm"
            )
        return _pool


def _forget_pool() -> None:
    # A forked child has none of its parent's threads.
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def run_in_background(task: Callable[..., Any], *args: Any) -> Future[Any]:
    """Start ``task`` on the pool."""
    return _executor().submit(task, *args)


def ahead_of_time(
    task: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    """``task(item)`` of each item in order, the next begun before it is asked for."""
    ahead = run_in_background(task, items[0])
    for item in items[1:]:
        ready = ahead.result()
        ahead = run_in_background(task, item)
        yield ready
    yield ahead.result()


def parallel_for(
    kernel: Callable[..., None], n: int, n_threads: int, *args: Any
) -> None:
    """Call ``kernel(*args, start, stop)`` on chunks that cover ``range(n)``.

    Returns only when every chunk is done, also when interrupted, so that no thread
    still writes to an array that the caller goes on to use.
    """
    if n_threads <= 1 or n <= 1:
        kernel(*args, 0, n)
        return
    n_chunks = min(n, n_threads * _CHUNKS_PER_THREAD)
    counter = itertools.count()

    def work() -> None:
        for i in counter:
            if i >= n_chunks:
                return
            kernel(*args, n * i // n_chunks, n * (i + 1) // n_chunks)

    helpers = [run_in_background(work) for _ in range(n_threads - 1)]
    try:
        work()
    finally:
        running = [helper for helper in helpers if not helper.cancel()]
        wait(running)
    for helper in running:
        helper.result()


class _TorchThreads:
    """The thread count of torch, borrowed by any number of fits.

    With OpenMP each Python thread has a count of its own beside the one that new
    threads start with, so every borrower puts back its own thread's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._borrowers = 0
        self._original = 1
        self._own = threading.local()

    def unborrowed(self) -> int:
        """The count there is when nobody borrows."""
        with self._lock:
            return self._original if self._borrowers else torch.get_num_threads()

    @contextmanager
    def __call__(self, n_threads: int) -> Iterator[None]:
        outer = getattr(self._own, "n_threads", None)
        with self._lock:
            if self._borrowers == 0:
                self._original = torch.get_num_threads()
            self._borrowers += 1
            self._own.n_threads = n_threads
            _set_torch_threads(n_threads)
        try:
            yield
        finally:
            with self._lock:
                self._borrowers -= 1
                self._own.n_threads = outer
                _set_torch_threads(self._original if outer is None else outer)


def _set_torch_threads(n_threads: int) -> None:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


#: ``with torch_threads(n):`` runs torch on n threads and restores its count afterwards,
#: when the last of several overlapping users leaves.
torch_threads = _TorchThreads()
