"""Conversion of Python values to JSON and arrays, and back, for a closed list of types.

Values of JSON stand for themselves, except objects: each is ``{tag: content}``, where
the tag names the type of the content. Other types are refused, in both directions.
Nothing is imported or called by a name that a file holds.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .cells import CELLS, UnsupportedValueError
from .container import Reader
from .header import FileFormatError, storable
from .records import class_named, is_registered

_PLAIN = (bool, int, str, type(None))
_EXTREMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_FLOATS = {"float32": np.float32, "float64": np.float64}
#: Approximate number of bytes of a string, and of a record, beside their content.
_PER_STRING, _PER_RECORD = 100, 2048


class Packer:
    """Converter of values to JSON, which collects the arrays.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays to write to the file, by name.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        # An array that is shared by two attributes is written once.
        self._names: dict[int, tuple[np.ndarray, str]] = {}
        self._texts: dict[int, tuple[np.ndarray, dict[str, Any]]] = {}

    def store(self, array: np.ndarray) -> str:
        """Add an array to the file, and return its name there."""
        if id(array) not in self._names:
            name = str(len(self.arrays))
            self.arrays[name] = array
            self._names[id(array)] = array, name
        return self._names[id(array)][1]

    def pack(self, value: Any, where: str) -> Any:
        """Convert a value to JSON; ``where`` names it in errors.

        Raises
        ------
        UnsupportedValueError
            If a file cannot hold the type of the value.
        """
        if type(value) in _PLAIN:
            return value
        if isinstance(value, np.generic) and value.dtype.kind in "biufU":
            return self.pack(value.item(), where)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, list | tuple):
            items = [self.pack(v, f"{where}[{i}]") for i, v in enumerate(value)]
            return items if isinstance(value, list) else {"tuple": items}
        if isinstance(value, dict):
            pairs = [
                [self.pack(k, f"a key of {where}"), self.pack(v, f"{where}[{k!r}]")]
                for k, v in value.items()
            ]
            return {"dict": pairs}
        return self._pack_object(value, where)

    def _pack_object(self, value: Any, where: str) -> Any:
        if isinstance(value, np.ndarray):
            return {"array": self._pack_array(value, where)}
        if isinstance(value, np.datetime64 | np.timedelta64):
            return {"scalar": self._pack_array(np.array(value), where)}
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, pd.Index | pd.Series):
            return self.pack(np.asarray(value), where)
        if type(value) in CELLS:
            cell = CELLS[type(value)]
            return {cell.tag: self.pack(cell.write(value), where)}
        if isinstance(value, np.random.RandomState):
            kind, key, *rest = value.get_state(legacy=True)
            if kind == "MT19937":
                return {"random_state": [self.store(np.array(key)), *rest]}
        if isinstance(value, type) and value in _FLOATS.values():
            return {"type": value.__name__}
        if is_registered("record", type(value)):
            return {"record": [type(value).__name__, self._pack_fields(value, where)]}
        raise UnsupportedValueError(
            f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which "
            "cannot be saved. Numbers, strings, bytes, dates, times, periods, "
            "intervals, decimals, UUIDs, and lists, tuples, dicts and arrays of these "
            "can be saved: convert it to one of them."
        )

    def _pack_fields(self, record: Any, where: str) -> dict[str, Any]:
        name = getattr(record, "name", None)
        if isinstance(name, str):
            where = f"column {name!r}"
        return {
            field.name: self.pack(getattr(record, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(record)
            if field.init
        }

    def _pack_array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        kind = array.dtype.kind
        if storable(array.dtype):
            return {"numbers": self.store(array)}
        if kind in "mM":
            return {
                "numbers": self.store(array.view(f"{array.dtype.byteorder}i8")),
                "unit": array.dtype.newbyteorder("=").str[1:],
            }
        cells = array.ravel().tolist()
        form = {"shape": list(array.shape), "kind": "U" if kind == "U" else "O"}
        if kind in "OU" and all(type(cell) is str for cell in cells):
            if id(array) not in self._texts:
                self._texts[id(array)] = array, {**form, **self._pack_text(cells)}
            return self._texts[id(array)][1]
        if kind == "O":
            return {**form, "cells": self.pack(cells, where)}
        raise UnsupportedValueError(
            f"{where} is an array of {array.dtype}, which cannot be saved: convert it "
            "to an array of numbers, dates or objects."
        )

    def _pack_text(self, cells: list[str]) -> dict[str, str]:
        raw = [cell.encode("utf-8", "surrogatepass") for cell in cells]
        ends = np.cumsum([len(cell) for cell in raw], dtype=np.int64)
        text = np.frombuffer(b"".join(raw), np.uint8)
        return {"text": self.store(text), "ends": self.store(ends)}


class Budget:
    """Limit of the memory that loading a file may take.

    Parameters
    ----------
    n_bytes : int
        Number of bytes.
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = self._left = n_bytes

    def spend(self, n_bytes: int) -> None:
        """Subtract memory that is about to be taken.

        Raises
        ------
        FileFormatError
            If less than ``n_bytes`` is left.
        """
        self._left -= n_bytes
        if self._left < 0:
            raise FileFormatError(
                f"loading it would take more than {self.n_bytes:,} bytes of memory: if "
                "you trust its source, pass a larger max_memory"
            )


class Unpacker:
    """Converter of JSON to values, the inverse of `Packer`.

    Parameters
    ----------
    reader : Reader
        Reader of the file.
    budget : Budget
        Memory that may be taken. Each reference to an array counts like a copy.
    map_tables : bool, default=False
        Whether tables of weights stay in the file, mapped into memory.
    objects : dict of str to callable, default=None
        Functions from the content of further tags to values.
    """

    def __init__(
        self,
        reader: Reader,
        budget: Budget,
        *,
        map_tables: bool = False,
        objects: dict[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self.reader, self.budget, self.map_tables = reader, budget, map_tables
        self._read: dict[str, np.ndarray] = {}
        self._claimed: set[str] = set()
        self._tags: dict[str, Callable[[Any], Any]] = {
            "float": _EXTREMES.__getitem__,
            "tuple": lambda items: tuple(self.unpack(_a_list(items))),
            "dict": self._dict,
            "array": self._array,
            "scalar": lambda content: self._array(content)[()],
            "random_state": self._random_state,
            "type": _FLOATS.__getitem__,
            "record": self._record,
            **{cell.tag: self._cell(cell.read) for cell in CELLS.values()},
            **(objects or {}),
        }

    def unpack(self, value: Any) -> Any:
        """Build the value that a piece of JSON describes.

        Raises
        ------
        FileFormatError
            If it describes no value.
        """
        if isinstance(value, list):
            return [self.unpack(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise FileFormatError("a value in it does not have exactly one tag")
        ((tag, content),) = value.items()
        if tag not in self._tags:
            raise FileFormatError(f"it holds an unknown kind of value, {tag!r}")
        return self._tags[tag](content)

    def stored(self, name: str) -> np.ndarray:
        """Return an array of the file, which all callers share."""
        self.budget.spend(self.reader.n_bytes(name))
        if name not in self._read:
            self._read[name] = self.reader.array(name)
        return self._read[name]

    def claim(self, name: str) -> str:
        """Return ``name`` after reserving the array for one network.

        Raises
        ------
        FileFormatError
            If the array has been reserved before.
        """
        if name in self._claimed:
            raise FileFormatError(f"its array {name!r} is used twice")
        self._claimed.add(name)
        return name

    def _cell(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda content: read(self.unpack(content))

    def _dict(self, pairs: Any) -> dict[Any, Any]:
        return {self.unpack(key): self.unpack(value) for key, value in pairs}

    def _array(self, content: Any) -> np.ndarray:
        if "text" in content:
            return self._text(content)
        if "cells" in content:
            cells = self.unpack(_a_list(content["cells"]))
            return np.fromiter(cells, dtype=object).reshape(content["shape"])
        array = self.stored(content["numbers"])
        if "unit" in content:
            dtype = np.dtype(content["unit"])
            if dtype.kind not in "mM" or array.dtype != np.int64:
                raise FileFormatError("a date in it has an unknown type")
            return array.view(dtype)
        return array

    def _text(self, content: Any) -> np.ndarray:
        text, ends = self.stored(content["text"]), self.stored(content["ends"])
        self.budget.spend(_PER_STRING * ends.size + 4 * text.size)
        raw = text.tobytes()
        bounds = [0, *ends.tolist()]
        if np.any(np.diff(bounds) < 0) or bounds[-1] > len(raw):
            raise FileFormatError("its strings overlap")
        strings = (
            raw[start:stop].decode("utf-8", "surrogatepass")
            for start, stop in itertools.pairwise(bounds)
        )
        array = np.fromiter(strings, dtype=object)
        if content["kind"] == "U":
            # The longest string determines the size of every element.
            self.budget.spend(4 * max(map(len, array), default=0) * len(array))
            array = array.astype(str)
        return array.reshape(content["shape"])

    def _random_state(self, content: Any) -> np.random.RandomState:
        name, position, has_gauss, gauss = content
        # NumPy reads at this position without checking it.
        if not 0 <= position <= 624:
            raise FileFormatError("its random state is corrupted")
        state = np.random.RandomState()
        state.set_state(("MT19937", self.stored(name), position, has_gauss, gauss))
        return state

    def _record(self, content: Any) -> Any:
        name, fields = content
        self.budget.spend(_PER_RECORD)
        cls = class_named("record", name)
        record = cls(**{key: self.unpack(value) for key, value in fields.items()})
        record.check()
        return record


def _a_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FileFormatError("a value in it should be a list, but is not")
    return value
