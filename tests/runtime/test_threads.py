"""Chunks over threads, and torch's thread count given back."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from numba import njit

from skfm.runtime import threads
from skfm.runtime.threads import (
    parallel_for,
    resolve_n_jobs,
    run_in_background,
    torch_threads,
)

PATIENCE = 10.0


@pytest.fixture
def pool_of_four(monkeypatch):
    """A pool with threads to spare, whatever the machine."""
    with ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr(threads, "_pool", pool)
        yield pool


@pytest.mark.parametrize("n_threads", [1, 2, 3, 50])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_chunks_cover_the_range_exactly_once(n, n_threads):
    counts, lock = np.zeros(n, int), threading.Lock()

    def kernel(step, start, stop):
        with lock:
            counts[start:stop] += step

    parallel_for(kernel, n, n_threads, 3)
    assert (counts == 3).all()


def test_chunks_of_a_compiled_kernel():
    @njit(nogil=True)
    def square(out, start, stop):
        for i in range(start, stop):
            out[i] += i * i

    out = np.zeros(10_000, np.int64)
    parallel_for(square, len(out), 3, out)
    np.testing.assert_array_equal(out, np.arange(10_000) ** 2)


def test_chunks_run_on_several_threads(pool_of_four):
    meeting = threading.Barrier(3)

    def kernel(start, stop):
        if start < 3:
            meeting.wait(PATIENCE)  # breaks unless three threads are here at once

    parallel_for(kernel, 12, 3)


def number_helpers(monkeypatch):
    """Let each thread know its place: helpers 0, 1, .. as started, the caller None."""
    place, started = threading.local(), itertools.count()
    submit = run_in_background

    def numbered(task):
        number = next(started)

        def run():
            place.number = number
            task()

        return submit(run)

    monkeypatch.setattr(threads, "run_in_background", numbered)
    return place


@pytest.mark.parametrize("culprit", [None, 0, 1])
def test_an_exception_waits_for_all_threads(pool_of_four, monkeypatch, culprit):
    place, meeting = number_helpers(monkeypatch), threading.Barrier(3)
    finished = []

    def kernel(start, stop):
        if start >= 3:
            return
        number = getattr(place, "number", None)
        meeting.wait(PATIENCE)
        if number == culprit:
            raise ZeroDivisionError("planted")
        if number is not None:
            time.sleep(0.2)  # a caller that does not wait is gone by then
            finished.append(number)

    with pytest.raises(ZeroDivisionError, match="planted"):
        parallel_for(kernel, 12, 3)
    assert sorted(finished) == [n for n in (0, 1) if n != culprit]


def test_an_exception_on_one_thread_propagates():
    def kernel(start, stop):
        raise ZeroDivisionError("planted")

    with pytest.raises(ZeroDivisionError, match="planted"):
        parallel_for(kernel, 10, 1)


def test_several_callers_share_the_pool():
    """Callers inside the pool itself, more than it has threads: no deadlock."""

    def caller(seed):
        out = np.zeros(100)

        def kernel(start, stop):
            out[start:stop] += seed

        parallel_for(kernel, 100, 4)
        return out

    n_callers = 3 * (joblib.cpu_count() + 1)
    futures = [run_in_background(caller, seed) for seed in range(n_callers)]
    for seed, future in enumerate(futures):
        assert (future.result(PATIENCE) == seed).all()


@pytest.fixture
def torch_count():
    """Torch on two threads for the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_torch_threads_are_borrowed_and_given_back(torch_count):
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == torch_count


def test_torch_threads_come_back_after_an_exception(torch_count):
    with pytest.raises(ZeroDivisionError), torch_threads(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == torch_count
    with torch_threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == torch_count


def test_torch_threads_nest(torch_count):
    with torch_threads(1):
        with torch_threads(3):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == torch_count


class Borrower(threading.Thread):
    """Borrows ``n`` torch threads between `enter` and `leave`; reports what it saw."""

    def __init__(self, n):
        super().__init__(daemon=True)
        self.n, self.seen, self.after = n, None, None
        self._entered, self._leave = threading.Event(), threading.Event()

    def run(self):
        torch.get_num_threads()
        with torch_threads(self.n):
            self.seen = torch.get_num_threads()
            self._entered.set()
            assert self._leave.wait(PATIENCE)
        self.after = torch.get_num_threads()

    def enter(self):
        self.start()
        assert self._entered.wait(PATIENCE)
        return self

    def leave(self):
        self._leave.set()
        self.join(PATIENCE)


def count_of_a_new_thread():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.parametrize("first_out", [0, 1])
@pytest.mark.parametrize(("one", "other"), [(1, 3), (3, 1), (1, 1), (1, 2), (2, 1)])
def test_overlapping_borrowers_leave_the_count_as_it_was(
    torch_count, one, other, first_out
):
    borrowers = [Borrower(one).enter(), Borrower(other).enter()]
    assert [b.seen for b in borrowers] == [one, other]
    borrowers[first_out].leave()
    borrowers[1 - first_out].leave()
    assert torch.get_num_threads() == torch_count
    assert count_of_a_new_thread() == torch_count


@pytest.mark.parametrize("n", [1, 3])
def test_a_fit_overlapped_by_a_longer_one_gives_the_count_back(torch_count, n):
    borrower = Borrower(n)
    with torch_threads(1):
        borrower.enter()
    borrower.leave()
    assert borrower.after == torch_count
    assert torch.get_num_threads() == torch_count
    assert count_of_a_new_thread() == torch_count


def test_n_jobs_none_is_what_torch_and_the_machine_allow(monkeypatch):
    monkeypatch.setattr("skfm.runtime.threads._cpu_count", lambda: 6)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert resolve_n_jobs(None) == 4
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    assert resolve_n_jobs(None) == 6


@pytest.mark.parametrize(
    ("n_jobs", "expected"),
    [(1, 1), (20, 20), (-1, 6), (-2, 5), (-6, 1), (-50, 1), (10**12, 1024)],
)
def test_n_jobs_as_in_joblib(monkeypatch, n_jobs, expected):
    monkeypatch.setattr("skfm.runtime.threads._cpu_count", lambda: 6)
    assert resolve_n_jobs(n_jobs) == expected


def test_n_jobs_zero_is_an_error():
    with pytest.raises(ValueError, match=r"n_jobs=0 .*pass None, -1 or a positive"):
        resolve_n_jobs(0)
