"""Threads of a fit or a prediction, and the thread count of torch.

The kernels release the GIL and work on a range of rows or columns, so that a small pool
of Python threads runs them. Unlike a team of OpenMP, the pool does not spin between
regions, survives a fork, and may be used from several Python threads at once.
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
from numba.core.compiler_lock import global_compiler_lock

from .lazy import is_loaded, torch
from .modes import default_modes

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Number of chunks per thread: enough to make up for a slow core, few enough to cost
#: nothing.
_CHUNKS_PER_THREAD = 8
#: Most threads that are asked for: the parameters of a file may hold any number.
_MOST_THREADS = 1024

_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()
_own = threading.local()


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of threads for ``n_jobs``, at most 1024.

    None means all usable cores.

    Raises
    ------
    ValueError
        If ``n_jobs`` is 0.
    """
    if n_jobs == 0:
        raise ValueError(
            "n_jobs=0 is not allowed: pass None, -1 or a positive integer."
        )
    if n_jobs is None:
        return max(1, min(_cpu_count(), torch_threads.unborrowed()))
    n_threads = n_jobs if n_jobs > 0 else max(1, _cpu_count() + 1 + n_jobs)
    return min(n_threads, _MOST_THREADS)


@functools.cache
def _cpu_count() -> int:
    """Count the cores that this process may use; cached, because it takes long."""
    return int(joblib.cpu_count())


@contextmanager
def team(n_threads: int) -> Iterator[None]:
    """Run the tasks of the calling thread on a pool of their own.

    The pool has ``n_threads - 1`` threads. A task in the background then delays the
    helpers of `parallel_for`, and does not compete with them and the caller for
    ``n_threads`` cores.
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
    """Start ``task`` on the pool of the calling thread."""
    return _executor().submit(task, *args)


def ahead_of_time(
    task: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    """Yield ``task(item)`` in order, and start the next task before it is requested."""
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

    The function returns only when every chunk is done, even if it is interrupted, so
    that no thread still writes to an array that the caller uses afterwards.
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

    n_helpers = min(n_threads, n_chunks) - 1
    helpers = [run_in_background(work) for _ in range(n_helpers)]
    try:
        work()
    finally:
        running = [helper for helper in helpers if not helper.cancel()]
        wait(running)
    for helper in running:
        helper.result()


class _TorchThreads:
    """Thread count of torch, which any number of fits may set at the same time.

    With OpenMP, each Python thread has a count of its own, beside the count that new
    threads start with. Each fit therefore restores the count of its own thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._borrowers = 0
        self._original = 1
        self._own = threading.local()

    def before_fork(self) -> None:
        """Take the lock, so that no other thread holds it when the process forks."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget the fits that ran in threads that the child does not have."""
        self._lock = threading.Lock()
        depth = getattr(self._own, "depth", 0)
        if self._borrowers and not depth:
            _set_torch_threads(self._original)
        self._borrowers = depth

    def unborrowed(self) -> int:
        """Return the thread count that no fit has set."""
        with self._lock:
            return self._original if self._borrowers else _native_threads()

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


def _native_threads() -> int:
    """Return the thread count of torch, or the one that it is going to start with."""
    if is_loaded("torch"):
        return torch.get_num_threads()
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdigit() and int(told) else _MOST_THREADS


def _set_torch_threads(n_threads: int) -> None:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


#: ``with torch_threads(n):`` runs torch on n threads, in `default_modes`. Its count is
#: restored when the last of several overlapping blocks ends.
torch_threads = _TorchThreads()


def _before_fork() -> None:
    # The forking thread, which continues in the child, must hold all locks that the
    # child needs. A thread that compiles holds none of the others: take numba's first.
    global_compiler_lock.acquire()
    _pool_lock.acquire()
    torch_threads.before_fork()


def _after_fork_in_parent() -> None:
    torch_threads.after_fork_in_parent()
    _pool_lock.release()
    global_compiler_lock.release()


def _after_fork_in_child() -> None:
    # A forked child has none of the threads of its parent.
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
