"""Groups of processes: started by torchrun, killed, and stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stream_cases import FEATURES, clicks, write

CASES = Path(__file__).parents[1] / "cases"
SCRIPT = CASES / "collective_script.py"
LIMIT = 120

pytestmark = pytest.mark.slow  # processes import torch


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def start(tmp_path):
    """``start(size, *args)``: start the script, and return its processes."""
    started = []
    write(clicks()[[*FEATURES, "click"]], tmp_path / "data", (100, 350))

    def start(size, *args):
        told = {"WORLD_SIZE": str(size), "MASTER_PORT": str(free_port())}
        told |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        path = os.pathsep.join([str(CASES), *sys.path])
        environment = os.environ | told | {"PYTHONPATH": path}
        command = [sys.executable, str(SCRIPT), str(tmp_path / "data"), *args]
        processes = [
            subprocess.Popen(
                command,
                env=environment | {"RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]
        started.extend(processes)
        return processes

    yield start
    for process in started:
        process.kill()
        process.communicate()


def digests(processes):
    """Return what the processes print, after all have ended well."""
    results = [process.communicate(timeout=LIMIT) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(results), results
    return {out.split()[1] for out, _ in results}


def test_processes_give_the_bits_of_one(start, tmp_path):
    found = [digests(start(size, str(tmp_path / f"ck{size}"))) for size in (1, 2, 3)]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1


def test_torchrun(start, tmp_path):
    alone = digests(start(1, str(tmp_path / "ck1")))
    path = os.pathsep.join([str(CASES), *sys.path])
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [str(SCRIPT), str(tmp_path / "data"), str(tmp_path / "ck2")]
    result = subprocess.run(
        [sys.executable, "-m", *launcher, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    assert {line.split()[1] for line in lines} == alone


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_ends_or_stops(sent, size, start, tmp_path):
    checkpoint = str(tmp_path / "ck")
    whole = digests(start(1, str(tmp_path / "whole")))
    *others, last = start(size, checkpoint, str(int(sent)))
    if sent == signal.SIGKILL:
        last.wait(LIMIT)
    begin = time.monotonic()
    for process in others:
        _, message = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        assert "WorkerLostError" in message
    if sent == signal.SIGKILL:
        assert time.monotonic() - begin < 30
    assert len(os.listdir(checkpoint)) == 1
    for again in (size, 1):
        kept = list(Path(checkpoint).iterdir())
        copy = tmp_path / f"again{again}"
        copy.mkdir()
        for path in kept:
            (copy / path.name).write_bytes(path.read_bytes())
        assert digests(start(again, str(copy))) == whole
