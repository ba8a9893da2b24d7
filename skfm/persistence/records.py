"""Registry of the classes whose objects files may hold.

The rooms that own the classes register them; this room knows none of them. A name in a
file can only lead to a registered class.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from .header import FileFormatError

T = TypeVar("T", bound=type)


class Record(Protocol):
    """A dataclass that is saved field by field."""

    def check(self) -> None:
        """Raise a ValueError unless the fields are valid and fit each other.

        A file can hold anything for a field. Values that pass this check may reach
        kernels, which do not check indices.
        """


_REGISTRY: dict[str, dict[str, type]] = {"record": {}, "estimator": {}, "pipeline": {}}


def saved(kind: str) -> Callable[[T], T]:
    """Register a class, as a decorator.

    Parameters
    ----------
    kind : {"record", "estimator", "pipeline"}
        Kind of class: a `Record`, a `SavedEstimator`, or a subclass of scikit-learn's
        Pipeline.
    """

    def register(cls: T) -> T:
        _REGISTRY[kind][cls.__name__] = cls
        return cls

    return register


def registered(kind: str) -> dict[str, type]:
    """Return the classes of a kind, by name."""
    return _REGISTRY[kind]


def is_registered(kind: str, cls: type) -> bool:
    """Return whether a class itself, and not one of its bases, is registered."""
    return _REGISTRY[kind].get(cls.__name__) is cls


def class_named(kind: str, name: Any) -> Any:
    """Return the registered class of a name in a file.

    Raises
    ------
    FileFormatError
        If no class of this kind is registered by this name.
    """
    if isinstance(name, str) and name not in _REGISTRY[kind]:
        # The package imports the module of a class, which registers it, on first use.
        getattr(import_module(__name__.partition(".")[0]), name, None)
    if not isinstance(name, str) or name not in _REGISTRY[kind]:
        raise FileFormatError(f"it holds an unknown {kind}, {name!r}")
    return _REGISTRY[kind][name]


def require(condition: Any, message: str) -> None:
    """Raise a ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def is_array(value: Any, dtype: Any, shape: tuple[int | None, ...]) -> bool:
    """Return whether a value is an array of a type and shape (None: any length)."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.dtype(dtype)
        and value.ndim == len(shape)
        and all(n in (None, size) for n, size in zip(shape, value.shape, strict=True))
    )


def is_integer(value: Any, least: int, most: int = 2**63 - 1) -> bool:
    """Return whether a value is an integer, and not a bool, in [least, most]."""
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return bool(integer and least <= value <= most)
