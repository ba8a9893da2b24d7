"""Limits of memory as the system tells them, and errors that say what to lower."""

import errno
import subprocess
import sys

import numpy as np
import pytest
import torch

from skfm.runtime import limits
from skfm.runtime.memory import available_memory, check_memory, memory_errors

GIB = 2**30


def write(path, **files):
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(str(text))


@pytest.fixture
def system(tmp_path):
    """Directories that stand for /proc and /sys/fs/cgroup."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    cgroups.mkdir()
    return proc, cgroups


@pytest.mark.parametrize(("above", "expected"), [("max", 3), (6 * GIB, 2)])
def test_cgroup_2(system, above, expected):
    proc, cgroups = system
    (proc / "self" / "cgroup").write_text("0::/slice/unit\n")
    stat = f"anon 5\ninactive_file {GIB}\n"
    write(cgroups / "slice", memory__max=above, memory__current=4 * GIB)
    write(cgroups / "slice", memory__stat="inactive_file 0\n")
    write(cgroups / "slice" / "unit", memory__max=4 * GIB, memory__current=2 * GIB)
    write(cgroups / "slice" / "unit", memory__stat=stat)
    assert limits.cgroup_room(proc, cgroups) == expected * GIB


def test_cgroup_1_in_a_container(system):
    """The path is that of the host, of which the container sees the root only."""
    proc, cgroups = system
    text = "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/docker/1\n"
    (proc / "self" / "cgroup").write_text(text)
    write(
        cgroups / "memory",
        memory__limit_in_bytes=8 * GIB,
        memory__usage_in_bytes=9 * GIB,
        memory__stat=f"inactive_file 7\ntotal_inactive_file {3 * GIB}\n",
    )
    assert limits.cgroup_room(proc, cgroups) == 2 * GIB


def test_systems_that_tell_nothing(system):
    assert limits.cgroup_room(*system) == limits.UNLIMITED
    assert limits.machine_room(system[0]) == limits.UNLIMITED


def test_the_machine(system):
    text = "MemTotal: 99 kB\nMemAvailable:       77 kB\n"
    (system[0] / "meminfo").write_text(text)
    assert limits.machine_room(system[0]) == 77 * 1024


def test_the_smallest_limit_counts(monkeypatch):
    monkeypatch.setattr("skfm.runtime.memory.cgroup_room", lambda: GIB)
    assert available_memory() <= GIB
    with pytest.raises(MemoryError, match=r"x need 2\.0 GiB of .* available: shrink"):
        check_memory(2 * GIB, "x need", "shrink.")


LIMITED = """
import resource
import numpy as np
import scipy.sparse as sp
import skfm
from skfm.runtime.limits import process_room

X = sp.csr_array((np.ones(60), np.arange(60) * 160_000, np.arange(61)))
y = np.arange(60) % 2
model = skfm.FMClassifier(max_iter=1, dtype="float32", n_jobs=1)
model.fit(X[:, :100], y)
used = (1 << 62) - process_room()
with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, resource.RLIM_INFINITY))
assert process_room() <= 2**29, process_room()
try:
    model.fit(X, y)
except MemoryError as error:
    print(error)
assert model.n_features_in_ == 100
"""


@pytest.mark.skipif(not limits.resource, reason="needs resource limits")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_limit_of_the_address_space():
    run = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True
    )
    assert "lower n_factors" in run.stdout


def lower_k():
    return memory_errors("Fitting", "lower k.")


class NumpyError(MemoryError):
    """As NumPy's, of a type of its own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        NumpyError("Unable to allocate 5 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("can't start new thread"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
    ids=repr,
)
def test_errors_for_want_of_memory(error):
    message = r"^Fitting ran out of memory: lower k\. \("
    with pytest.raises(MemoryError, match=message), lower_k():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("tables need 5 GiB"),
        OSError(errno.ENOENT, "no file"),
        RuntimeError("other"),
        ValueError("other"),
    ],
    ids=repr,
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, lower_k():
        raise error
    assert caught.value is error


def test_what_torch_raises_in_fact():
    with pytest.raises(MemoryError, match="lower k"), lower_k():
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError, match="lower k"), lower_k():
        np.empty(2**60, np.uint8)
