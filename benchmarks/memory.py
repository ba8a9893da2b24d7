"""Peaks of memory, each in a process of its own."""

from __future__ import annotations

from pathlib import Path

from report import Row
from workloads import in_fresh_process

_CODE = """
import resource, sys, threading, time
sys.path.insert(0, {here!r})
from workloads import labels, one_hot
import skfm
X, y = one_hot({rows}, {columns}), labels({rows})
model = skfm.FMClassifier(n_factors=16, batch_size=8192, early_stopping=False)
model.set_params(max_iter=1, optimizer={optimizer!r}, random_state=0)
model.fit(X[:2000, :3000], y[:2000])  # the libraries' own memory

def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024

before, peak, done = resident(), [0.0], threading.Event()

def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], resident())

watcher = threading.Thread(target=watch)
watcher.start()
model.fit(X, y)
done.set()
watcher.join()
print(peak[0] - before)
"""


def growth(rows: int, columns: int) -> float:
    """MiB that a fit adds to the process at its peak."""
    here = str(Path(__file__).parent)
    code = _CODE.format(here=here, rows=rows, columns=columns, optimizer="adagrad")
    return float(in_fresh_process(code))


def measure() -> list[Row]:
    """Memory."""
    rows = []
    for n_rows, n_columns, allowance in (
        (300_000, 1_000_000, 200.0),
        (300_000, 20_000_000, None),
    ):
        table = n_columns * 17 * 4 * 2 / 2**20
        used = growth(n_rows, n_columns)
        what = f"FM fit, {n_columns:,} columns"
        if allowance is None:
            rows.append(Row(what, used, "MiB", "table and state", table, 1.2, low=True))
        else:
            limit = table + allowance
            beside = "table, state and 200 MiB"
            rows.append(Row(what, used, "MiB", beside, limit, 1.0, low=True))
    return rows
