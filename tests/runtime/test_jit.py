"""Kernels are compiled in memory if numba cannot write its cache anywhere."""

import os
import subprocess
import sys

#: Runs in a process of its own, where only zip files have a place for a cache.
SCRIPT = """
import numba
from skfm.runtime import jit

try:
    numba.njit(cache=True)(jit._can_cache)
except RuntimeError:
    print("no place for a cache")
print(jit.JIT["cache"])
"""


def import_kernels(**variables):
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, env=os.environ | variables, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def test_kernels_are_cached_where_that_is_possible():
    assert import_kernels() == ["True"]


def test_import_works_where_no_cache_can_be_written():
    lines = import_kernels(NUMBA_CACHE_LOCATOR_CLASSES="_ZipCacheLocator")
    assert lines == ["no place for a cache", "False"]
