"""Replacement of objects inside of scikit-learn's estimators."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import Bunch


def replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return an object with changed parts; the object itself is left as it is.

    Lists, tuples, dicts, arrays of objects and the attributes of scikit-learn's objects
    are searched. What contains no changed part is not copied.

    Parameters
    ----------
    value : object
        Object to search.
    change : callable
        Returns another object in the place of one, or the same.
    """
    return _Replacer(change).visit(value)


class _Replacer:
    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change
        # By identity, so that what is shared stays shared; the objects are kept alive.
        self._known: dict[int, tuple[Any, Any]] = {}

    def visit(self, value: Any) -> Any:
        if id(value) not in self._known:
            self._known[id(value)] = value, value  # a cycle ends here
            self._known[id(value)] = value, self._replace(value)
        return self._known[id(value)][1]

    def _replace(self, value: Any) -> Any:
        changed = self._change(value)
        if changed is not value:
            return changed
        if type(value) in (list, tuple):
            parts = [self.visit(part) for part in value]
            return type(value)(parts) if _differ(parts, value) else value
        if type(value) in (dict, Bunch):
            return self._entries(value)
        if isinstance(value, np.ndarray) and value.dtype == object:
            return self._array(value)
        if type(value).__module__.split(".")[0] == "sklearn":
            return self._attributes(value)
        return value

    def _entries(self, value: dict[Any, Any]) -> Any:
        parts = [self.visit(part) for part in value.values()]
        if not _differ(parts, value.values()):
            return value
        entries = dict(zip(value, parts, strict=True))
        return entries if type(value) is dict else Bunch(**entries)

    def _array(self, value: np.ndarray) -> np.ndarray:
        # The elements of a masked array that are masked are kept.
        parts = np.ma.getdata(value).ravel().tolist()
        new = [self.visit(part) for part in parts]
        if not _differ(new, parts):
            return value
        copied = value.copy()
        flat = np.ma.getdata(copied).reshape(-1)
        for place, part in enumerate(new):
            flat[place] = part
        return copied

    def _attributes(self, value: Any) -> Any:
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is not dict:
            return value
        parts = [self.visit(part) for part in attributes.values()]
        if not _differ(parts, attributes.values()):
            return value
        copied = copy.copy(value)
        copied.__dict__.update(zip(attributes, parts, strict=True))
        return copied


def _differ(parts: Any, olds: Any) -> bool:
    return any(part is not old for part, old in zip(parts, olds, strict=True))
