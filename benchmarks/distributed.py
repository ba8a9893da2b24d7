"""Processor time and messages of collective fits.

    python benchmarks/distributed.py 400000

writes that many rows of 39 columns to Parquet files, as `benchmarks/streams.py` does,
and fits them for two epochs in one process without a group, and in groups of one, two
and four processes on this machine, with 8192 rows a step for each process. It prints
the processor time of all processes in the last epoch, and the bytes that a process
sends in a step, beside ``4 + 8 * (n_factors + 1)`` for each of its distinct columns and
8 for each dense weight, times the share of the other processes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from streams import write

import skfm
from skfm.distributed.groups import communicator
from skfm.sparse import Shards
from skfm.training.trainer import Trainer

ROWS_PER_PROCESS = 8192
MODELS: dict[str, dict[str, Any]] = {
    "FMClassifier": {"solver": "sgd"},
    "DeepFMClassifier": {"hidden_layer_sizes": (400, 400, 400)},
}


def fit(folder: Path, name: str, size: int, *, grouped: bool) -> None:
    """Fit in this process, and print what the last epoch cost as JSON."""
    found: dict[str, Any] = {}
    epoch, fetch = Trainer._epoch, Shards.fetch
    columns: list[int] = []

    def timed_epoch(self: Trainer, number: int) -> float:
        columns.clear()
        sent = communicator().n_bytes if grouped else 0
        cpu, wall = time.process_time(), time.perf_counter()
        loss = epoch(self, number)
        found.update(
            cpu=time.process_time() - cpu,
            wall=time.perf_counter() - wall,
            rows=self.source.n_rows,
            steps=len(columns),
            columns=sum(columns),
            bytes=communicator().n_bytes - sent if grouped else 0,
        )
        return loss

    def counted_fetch(self: Shards, *args: Any, **options: Any) -> Any:
        excerpt = fetch(self, *args, **options)
        columns.append(len(excerpt.columns))
        return excerpt

    Trainer._epoch, Shards.fetch = timed_epoch, counted_fetch
    model = getattr(skfm, name)(
        max_iter=2,
        batch_size=ROWS_PER_PROCESS * size,
        early_stopping=False,
        cache=folder / "cache",
        random_state=0,
        n_jobs=1,
        **MODELS[name],
    )
    with skfm.distributed.group() if grouped else nullcontext():
        model.fit(ds.dataset(folder / "data"), "click")
    dense = sum(parameter.numel() for parameter in model.network_.parameters())
    weights = hashlib.blake2b(digest_size=8)
    for _, array in sorted(model.network_.arrays().items()):
        weights.update(array.tobytes())
    found |= {"width": model.n_factors + 1, "dense": dense}
    print(json.dumps(found | {"digest": weights.hexdigest()}))


def start(
    folder: Path,
    name: str,
    size: int,
    *,
    grouped: bool,
    address: str = "127.0.0.1",
    places: Sequence[Sequence[str]] = (),
) -> list[dict[str, Any]]:
    """Fit in so many processes, and return what each has found.

    ``places`` are the beginnings of their commands, if they run elsewhere.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": str(size), "MASTER_ADDR": address}
    told |= {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    places = places or [()] * size
    command = [sys.executable, __file__, "--folder", str(folder), "--model", name]
    command += ["--size", str(size), *(["--grouped"] if grouped else [])]
    processes = [
        subprocess.Popen(
            [*places[rank], *command],
            env=os.environ | told | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


def compare(n_rows: int, names: list[str], sizes: list[int]) -> None:
    """Print the costs of models and numbers of processes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        write(folder / "data", n_rows)
        for name in names:
            print(name)
            for size, grouped in ((1, False), *((size, True) for size in sizes)):
                found = start(folder, name, size, grouped=grouped)
                cpu = sum(one["cpu"] for one in found) / found[0]["rows"]
                line = f"  {size} {'in a group' if grouped else 'alone':10}"
                line += f" {cpu * 1e6:7.2f} us of processor a row"
                if size > 1:
                    expected = np.mean(
                        [(4 + 8 * f["width"]) * f["columns"] for f in found]
                    )
                    expected = expected / found[0]["steps"] + 8 * found[0]["dense"]
                    expected *= (size - 1) / size
                    sent = np.mean([f["bytes"] for f in found]) / found[0]["steps"]
                    line += f"  {sent / 1e6:6.3f} MB a step, {sent / expected:.3f} of"
                    line += f" {expected / 1e6:.3f}"
                print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?")
    parser.add_argument("--model", choices=MODELS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--size", type=int, help="of this process's group")
    parser.add_argument("--grouped", action="store_true")
    given = parser.parse_args()
    if given.folder is None:
        names = [given.model] if given.model else list(MODELS)
        compare(given.rows, names, given.sizes)
    else:
        fit(given.folder, given.model, given.size, grouped=given.grouped)
