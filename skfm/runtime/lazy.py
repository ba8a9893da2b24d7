"""torch, imported when an attribute of it is first read.

torch takes about as long to import as all else that skfm needs, and the Bayesian solver
does without it. Modules that fits by either solver import take torch from here. Those
that define layers, of which torch has the base class, import it themselves.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

__all__ = ["F", "LazyModule", "is_loaded", "on_first_use", "torch", "without_gradients"]

P = ParamSpec("P")
Result = TypeVar("Result")


class LazyModule:
    """Stand-in for a module, which imports it for its first attribute.

    Parameters
    ----------
    name : str
        Name of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        own = vars(self)
        module = import_module(own["_name"] if "_name" in own else own["__name__"])
        # From here on an attribute is found as fast as in the module itself.
        self.__dict__ = vars(module)
        return getattr(module, attribute)


class on_first_use:  # noqa: N801 (a decorator)
    """Make a class attribute of a function without arguments, called when it is read.

    The function may then import modules that its class does without.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._find()


def is_loaded(name: str) -> bool:
    """Return whether a module has been imported, by anyone."""
    return name in sys.modules


if TYPE_CHECKING:
    import torch as torch
    from torch.nn import functional as F
else:
    torch, F = LazyModule("torch"), LazyModule("torch.nn.functional")


def without_gradients(function: Callable[P, Result]) -> Callable[P, Result]:
    """Make a function that records no gradients, like ``torch.no_grad``."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **keywords: P.kwargs) -> Result:
        with torch.no_grad():
            return function(*args, **keywords)

    return wrapper
