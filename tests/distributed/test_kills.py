"""Processes that are killed again and again, at steps drawn at random."""

import multiprocessing
import os
import shutil
import signal
import socket
import time

import numpy as np
import pytest
from stream_cases import FEATURES, clicks, write

#: Seconds for which a group waits for a worker, and for which a test waits for a group.
TIMEOUT, LIMIT = 20, 120
#: Steps of an undisturbed fit, at least.
N_STEPS = 24

pytestmark = pytest.mark.external  # takes minutes


def work(rank, size, port, arguments, stop, results):
    """Fit in a process of a group, and put the digest or the error."""
    import collective_script

    told = {"RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ |= {"MASTER_ADDR": "127.0.0.1"} | {k: str(v) for k, v in told.items()}
    if stop is not None:
        collective_script.stop_at(*stop)
    try:
        results.put(collective_script.fit(*arguments, timeout=TIMEOUT))
    except Exception as error:
        results.put(type(error).__name__)


@pytest.fixture(scope="module")
def context():
    """Forks of a process that has imported everything."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["collective_script", "torch", "skfm.models.deepfm"])
    return found


@pytest.fixture
def run(context, tmp_path):
    """``run(size, checkpoint, stop)``: return what workers that have not ended find."""
    write(clicks()[[*FEATURES, "click"]], tmp_path / "data", (100, 350))

    def run(size, checkpoint, stop=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        results = context.SimpleQueue()
        given = (str(tmp_path / "data"), str(checkpoint)), stop, results
        workers = [
            context.Process(target=work, args=(rank, size, port, *given))
            for rank in range(size)
        ]
        for worker in workers:
            worker.start()
        victims = 0 if stop is None else 1
        ends = time.monotonic() + LIMIT
        found = []
        while len(found) < size - victims and time.monotonic() < ends:
            if results.empty():
                time.sleep(0.05)
            else:
                found.append(results.get())
        for worker in workers:
            if stop is not None:
                worker.kill()
            worker.join(LIMIT)
        return found

    return run


@pytest.mark.parametrize(
    ("sent", "n_times"), [(signal.SIGKILL, 20), (signal.SIGSTOP, 3)]
)
def test_any_worker_at_any_step(sent, n_times, run, tmp_path):
    rng, seconds = np.random.default_rng(), []
    (whole,) = run(1, tmp_path / "whole")
    for number in range(n_times):
        checkpoint, size = tmp_path / f"ck{number}", int(rng.integers(2, 4))
        stop = int(rng.integers(1, N_STEPS + 1)), sent, int(rng.integers(size))
        begin = time.monotonic()
        assert run(size, checkpoint, stop) == ["WorkerLostError"] * (size - 1), stop
        seconds.append(time.monotonic() - begin)
        for again in (2, 1):
            copy = tmp_path / f"again{number}-{again}"
            shutil.copytree(checkpoint, copy)
            assert run(again, copy) == [whole] * again, stop
    print("seconds of the groups that lost a worker:", np.round(seconds, 1))
