"""Forks while other threads predict: no child waits for a thread that it has not."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from estimator_cases import X, fitted, scores

import skfm
from skfm.runtime import threads
from skfm.runtime.threads import team, torch_threads

PATIENCE = 60.0
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process.*multi-threaded"),
]


def in_a_child(action):
    """Exit status of a forked child that does ``action``, which says if it is right."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if action() else 1
        finally:
            os._exit(status)
    for _ in range(int(PATIENCE * 100)):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


class Holder(threading.Thread):
    """Enters a context on a thread of its own until it is told to leave."""

    def __init__(self, context):
        super().__init__(daemon=True)
        self.context = context
        self.entered, self.leave = threading.Event(), threading.Event()

    def run(self):
        with self.context:
            self.entered.set()
            self.leave.wait(PATIENCE)

    def __enter__(self):
        self.start()
        assert self.entered.wait(PATIENCE)
        return self

    def __exit__(self, *exception):
        self.leave.set()
        self.join()


def fork_under_load(cls, n_forks):
    """Return the exit codes of children that predict while the parent does so too."""
    model = fitted(cls, n_jobs=2)
    expected, stop = scores(model), threading.Event()

    def work():
        while not stop.is_set():
            scores(model)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        return [
            in_a_child(lambda: np.array_equal(scores(model), expected))
            for _ in range(n_forks)
        ]
    finally:
        stop.set()
        for worker in workers:
            worker.join()


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
def test_forks_under_load(cls):
    assert fork_under_load(cls, 25) == [0] * 25


@pytest.mark.parametrize("lock", ["pool", "torch"])
def test_a_fork_waits_for_the_holder_of_a_lock(lock):
    """So that the child finds it free; the holder needs no more than a moment."""
    held = {"pool": threads._pool_lock, "torch": torch_threads._lock}[lock]
    model = fitted(skfm.FMClassifier)
    with Holder(held) as holder:
        threading.Timer(0.2, holder.leave.set).start()
        assert in_a_child(lambda: len(scores(model)) == X.shape[0]) == 0


def test_a_child_forgets_the_borrowers_of_other_threads():
    import torch

    before = torch.get_num_threads()
    with Holder(torch_threads(1)):
        assert in_a_child(lambda: torch_threads._borrowers == 0) == 0
        same = in_a_child(lambda: torch_threads.unborrowed() == before)
        assert same == 0
    with torch_threads(1), torch_threads(1):
        assert in_a_child(lambda: torch_threads._borrowers == 2) == 0


def test_a_child_does_not_use_the_team_of_its_parent():
    with team(2):
        threads.run_in_background(int).result()
        assert in_a_child(lambda: threads.run_in_background(int).result() == 0) == 0
