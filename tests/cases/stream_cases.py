"""Tables of clicks, and datasets of them."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from skfm.streams import block_writer, source, tables

N_ROWS = 600


def clicks(n_rows=N_ROWS, seed=0):
    """Rows of two categories, a number, a target of them, and a weight."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(12, size=n_rows), rng.integers(5, size=n_rows)
    return pd.DataFrame(
        {
            "user": pd.Series(user).map("u{}".format),
            "item": item,
            "price": np.where(rng.random(n_rows) < 0.1, np.nan, rng.random(n_rows)),
            "click": (user % 2 == item % 2).astype(int),
            "amount": np.where(user % 2 == item % 2, 3.0, -1.0) + rng.random(n_rows),
            "weight": rng.integers(1, 3, size=n_rows).astype(float),
        }
    )


FEATURES = ["user", "item", "price"]


def write(frame, folder, cuts=()):
    """Return a dataset of files with the rows between cuts."""
    folder.mkdir(parents=True, exist_ok=True)
    bounds = [0, *cuts, len(frame)]
    for number, (lo, hi) in enumerate(pairwise(bounds)):
        table = pa.Table.from_pandas(frame.iloc[lo:hi], preserve_index=False)
        pq.write_table(table, folder / f"{number:03}.parquet")
    return ds.dataset(folder, format="parquet")


def make_small(monkeypatch, tmp_path):
    """Read chunks and blocks of few rows, so that there are many of them."""
    monkeypatch.setattr(tables, "CHUNK_ROWS", 100)
    monkeypatch.setattr(block_writer, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(block_writer, "_BUFFER_BYTES", 5000)
    monkeypatch.setattr(source, "_POOL", 4)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
