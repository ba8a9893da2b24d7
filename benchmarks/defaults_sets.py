"""The sets of `defaults.py`: which data, how many training rows, which test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from defaults_data import DATA
from defaults_tables import TABLES

MOST_ROWS = 30_000
#: Share of the rows that is the test set, where the training rows need most of them;
#: a planted table is as long as one likes.
HELD_OUT = {"flights": 0.18, "Adult": 0.2, "planted": 0.5}


@dataclass(frozen=True)
class Set:
    """Training rows, at most so many, and test rows of one of `DATA`.

    Sets of the same data have the same test rows.
    """

    name: str
    data: str
    most_rows: int

    def split(self, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the training and of the test rows, shuffled by the seed."""
        rows = np.random.default_rng(seed).permutation(n_rows)
        n_train = n_rows - round(n_rows * HELD_OUT.get(self.data, 0.3))
        return rows[: min(n_train, self.most_rows)], rows[n_train:]


def parse_set(name: str) -> Set:
    """The set named DATA-ROWS."""
    data, _, rows = name.rpartition("-")
    if data not in DATA or not rows.isdigit():
        raise ValueError(
            f"{name!r} is none of the sets, nor DATA-ROWS with DATA of {list(DATA)}"
        )
    return Set(name, data, int(rows))


_SIZED = [f"flights-{n}" for n in (2000, 8000, 30_000, 267_000)]
_SIZED += [f"Adult-{n}" for n in (2000, 8000, 39_000)]
_PLANTED = [f"planted-{n}" for n in (1000, 6000)]
_WHOLE = ["MovieLens ratings", "MovieLens liked", "MovieLens implicit"]
_WHOLE += [table.item for table in TABLES]

#: Data sets by name, in the order of the tables.
SETS = {
    one.name: one
    for one in [
        *map(parse_set, _SIZED),
        *(Set(name, name, MOST_ROWS) for name in _WHOLE),
        *map(parse_set, _PLANTED),
    ]
}
