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
from numba.core.compiler_lock import global_compiler_lock

from .modes import default_modes

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Chunks per thread: enough to even out a slow core, few enough to cost nothing.
_CHUNKS_PER_THREAD = 8

_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()
_own = threading.local()


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
    """Count the cores that this process may use; as slow as scoring some rows."""
    return int(joblib.cpu_count())


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


def run_in_background(task: Callable[..., Any], *args: Any) -> Future[Any]:
    """Start ``task`` on the pool."""
    return _executor().submit(task, *args)


def ahead_of_time(
    task: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    """Yield ``task(item)`` in order; the next starts before it is requested."""
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

    def before_fork(self) -> None:
        """Hold the lock over a fork, so that no child finds it held by nobody."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the borrowers among the threads that the child does not have."""
        self._lock = threading.Lock()
        depth = getattr(self._own, "depth", 0)
        if self._borrowers and not depth:
            _set_torch_threads(self._original)
        self._borrowers = depth

    def unborrowed(self) -> int:
        """Return the thread count while nobody borrows it."""
        with self._lock:
            return self._original if self._borrowers else torch.get_num_threads()

    @contextmanager
    def __call__(self, n_threads: int) -> Iterator[None]:
        outer = getattr(self._own, "n_threads", None)
        depth = getattr(self._own, "depth", 0)
        with self._lock:
            if self._borrowers == 0:
                self._original = torch.get_num_threads()
            self._borrowers += 1
            self._own.n_threads, self._own.depth = n_threads, depth + 1
            _set_torch_threads(n_threads)
        try:
            with default_modes():
                yield
        finally:
            with self._lock:
                self._borrowers -= 1
                self._own.n_threads, self._own.depth = outer, depth
                _set_torch_threads(self._original if outer is None else outer)


def _set_torch_threads(n_threads: int) -> None:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


#: ``with torch_threads(n):`` runs torch on n threads, in `default_modes`, and restores
#: its count afterwards, when the last of several overlapping users leaves.
torch_threads = _TorchThreads()


def _before_fork() -> None:
    # Whatever the child will want is held by the thread that goes on in it. numba's
    # lock first: a thread that compiles holds none of the others.
    global_compiler_lock.acquire()
    _pool_lock.acquire()
    torch_threads.before_fork()


def _after_fork_in_parent() -> None:
    torch_threads.after_fork_in_parent()
    _pool_lock.release()
    global_compiler_lock.release()


def _after_fork_in_child() -> None:
    # A forked child has none of its parent's threads.
    global _pool, _pool_lock, _own
    torch_threads.after_fork_in_child()
    _pool, _pool_lock, _own = None, threading.Lock(), threading.local()
    global_compiler_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
