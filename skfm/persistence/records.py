"""A registry of what files may hold beside plain values: names that lead to classes.

The rooms that own the classes register them; this one knows none of them. Nothing is
looked up or imported by a name in a file but what has been registered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

from .container import FileFormatError

T = TypeVar("T", bound=type)


class Record(Protocol):
    """A dataclass that is saved field by field."""

    def check(self) -> None:
        """Raise a ValueError unless each field, and all of them together, make sense.

        A file can hold anything for a field. What `check` lets pass may reach kernels
        that do not check indices.
        """


_REGISTRY: dict[str, dict[str, type]] = {"record": {}, "estimator": {}, "pipeline": {}}


def saved(kind: str) -> Callable[[T], T]:
    """Register a class, as a decorator.

    Parameters
    ----------
    kind : {"record", "estimator", "pipeline"}
        A `Record`, a `SavedEstimator`, or a subclass of scikit-learn's Pipeline.
    """

    def register(cls: T) -> T:
        _REGISTRY[kind][cls.__name__] = cls
        return cls

    return register


def registered(kind: str) -> dict[str, type]:
    """Return the classes of a kind, by name."""
    return _REGISTRY[kind]


def is_registered(kind: str, cls: type) -> bool:
    """Return whether a class itself, not a base of it, is registered."""
    return _REGISTRY[kind].get(cls.__name__) is cls


def class_named(kind: str, name: Any) -> Any:
    """Return the class that a file names.

    Raises
    ------
    FileFormatError
        If there is none.
    """
    if not isinstance(name, str) or name not in _REGISTRY[kind]:
        raise FileFormatError(f"it holds an unknown {kind}, {name!r}")
    return _REGISTRY[kind][name]


def require(condition: Any, message: str) -> None:
    """Raise a ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def is_array(value: Any, dtype: Any, shape: tuple[int | None, ...]) -> bool:
    """Return whether a value is an array of this type and shape (None: any length)."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.dtype(dtype)
        and value.ndim == len(shape)
        and all(n in (None, size) for n, size in zip(shape, value.shape, strict=True))
    )


def is_integer(value: Any, least: int, most: int = 2**63 - 1) -> bool:
    """Return whether a value is an integer, not a truth value, in a range."""
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return bool(integer and least <= value <= most)
