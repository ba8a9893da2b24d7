"""Journal of the results of a comparison, a file that survives interruptions."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
from sklearn.base import clone

from .cells import Cell


class Journal:
    """File of records by key, with one JSON object per line.

    A record is written with one call and synchronised, so that an interruption damages
    at most the last line. An incomplete line is removed when the file is opened.

    Parameters
    ----------
    path : path-like
        Path of the file, which is created if it does not exist.

    Raises
    ------
    ValueError
        If the file is not a journal.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.records: dict[str, dict[str, Any]] = {}
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                entry = json.loads(line)
                self.records[entry["key"]] = entry["record"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"Line {number} of journal {str(self.path)!r} was not written by "
                    "compare: name another file, or delete this one."
                ) from error
        if len(whole) < len(text):
            if not whole and not text.startswith(b'{"key"'):
                raise ValueError(
                    f"The journal {str(self.path)!r} was not written by compare: name "
                    "another file."
                )
            os.truncate(self.path, len(whole))

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Append a record to the file."""
        line = json.dumps({"key": key, "record": record}) + "\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o666)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.records[key] = record


def keys_of(cells: list[Cell], X: Any, y: Any, scoring: Any) -> list[str]:
    """Compute the key of each cell from parameters, data, rows and metric.

    Raises
    ------
    ValueError
        If one of them cannot be pickled.
    """
    try:
        shared = joblib.hash((X, y, scoring))
        made = {
            (cell.model, cell.features): joblib.hash(
                (clone(cell.estimator), _fresh(cell.featurization))
            )
            for cell in cells
        }
        rows = {cell.fold: joblib.hash((cell.train, cell.test)) for cell in cells}
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "journal needs X, y, scoring, estimators and featurizations that can be "
            f"pickled, without lambdas or functions defined inside others: {error}"
        ) from error
    return [
        joblib.hash((shared, made[cell.model, cell.features], rows[cell.fold]))
        for cell in cells
    ]


def _fresh(featurization: Any) -> Any:
    return (
        featurization if isinstance(featurization, str | list) else clone(featurization)
    )
