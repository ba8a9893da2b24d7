"""Kernels give their results whatever becomes of the files that numba keeps."""

import errno

import numpy as np
import pytest
from numba import config

import skfm
from skfm.losses import SquaredError
from skfm.runtime import jit


def triple(x):
    return 3 * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "_warned", False)
    return tmp_path


def hits():
    """Count the signatures that a new kernel finds on disk when it is called."""
    compiled = jit.kernel(triple)
    assert compiled(2) == 6
    return sum(compiled.stats.cache_hits.values())


def test_machine_code_is_kept(folder):
    assert hits() == 0
    assert hits() == 1
    assert {path.suffix for path in folder.rglob("*.nb?")} == {".nbi", ".nbc"}


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, 20, -10])
def test_truncated_files_are_replaced(kind, size, folder):
    assert hits() == 0
    (path,) = folder.rglob(f"*.{kind}")
    path.write_bytes(path.read_bytes()[:size])
    assert hits() == 0
    assert hits() == 1


def test_a_full_disk(folder, monkeypatch):
    def fail(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.warns(RuntimeWarning, match=r"No space left.*NUMBA_CACHE_DIR"):
        assert hits() == 0
    assert hits() == 0  # without another warning


def test_no_directory_that_can_be_written_to(folder, monkeypatch):
    monkeypatch.setattr(config, "CACHE_LOCATOR_CLASSES", "_ZipCacheLocator")
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert hits() == 0
    assert hits() == 0


def test_compilation_is_noted_once(folder):
    notes = []
    with jit.noting_compilation(lambda: notes.append("first")):
        assert hits() == 0
        jit.kernel(triple)(2.5)
    assert notes == ["first"]
    jit.kernel(triple)(2j)
    with jit.noting_compilation(lambda: notes.append("again")):
        assert hits() == 1
    with jit.noting_compilation(None):
        assert jit.kernel(triple)(np.int8(2)) == 6
    assert notes == ["first"]


def test_inner_kernels_serve_other_kernels(folder):
    inner = jit.kernel(triple, inner=True)

    @jit.kernel
    def six_times(x):
        return 2 * inner(x)

    assert six_times(2) == 12


def test_a_verbose_fit_says_what_it_waits_for(folder, capsys, monkeypatch):
    fresh = jit.kernel(triple)
    model = skfm.FMRegressor(verbose=1, solver="sgd", max_iter=1)
    monkeypatch.setattr(
        skfm.FMRegressor, "_make_loss", lambda self: fresh(1) and SquaredError()
    )
    model.fit([[0.0], [1.0]], [0.0, 1.0])
    told = capsys.readouterr().out
    assert told.count("compiles its kernels") == 1
