"""Registry of losses by the names that estimators accept as ``loss``.

A loss is registered for one kind of targets:

- "numbers", of regressors;
- "binary", one of two classes, "multiclass", one of more, and "multilabel", an
  indicator matrix, of classifiers;
- "relevance", of rankers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .base import CallableLoss, Loss

_LossClass = TypeVar("_LossClass", bound=type[Loss])

_REGISTRY: dict[tuple[str, str], type[Loss]] = {}


def register(name: str, target: str) -> Callable[[_LossClass], _LossClass]:
    """Make a decorator that registers a class under a name for a kind of targets."""

    def add(cls: _LossClass) -> _LossClass:
        if (name, target) in _REGISTRY:
            raise ValueError(f"loss={name!r} for {target} targets exists already.")
        _REGISTRY[name, target] = cls
        return cls

    return add


def loss_names(
    target: str, where: Callable[[type[Loss]], bool] = lambda cls: True
) -> list[str]:
    """List the names of losses for a kind of targets, in the order of registration.

    Only the classes for which ``where`` returns True are listed.
    """
    return [
        name for (name, kind), cls in _REGISTRY.items() if kind == target and where(cls)
    ]


def gives_probabilities(loss: Any, target: str) -> bool:
    """Return whether an estimator's ``loss`` is one whose link gives probabilities."""
    cls = _REGISTRY.get((loss, target)) if isinstance(loss, str) else None
    return cls is not None and cls.link.gives_probabilities


def loss_class(loss: str | Callable[..., Any], target: str) -> type[Loss]:
    """Return the class of an estimator's ``loss`` for a kind of targets."""
    return _REGISTRY[loss, target] if isinstance(loss, str) else CallableLoss


def make_loss(
    loss: str | Callable[..., Any],
    target: str,
    n_outputs: int,
    parameters: Mapping[str, Any] | None = None,
) -> Loss:
    """Make the loss from an estimator's ``loss`` and hyper-parameters.

    Parameters
    ----------
    loss : str or callable
        A registered name, or a function: see `CallableLoss`.
    target : str
        Kind of targets: see `skfm.losses.registry`.
    n_outputs : int
        Number of raw scores per row.
    parameters : mapping, default=None
        Hyper-parameters by name. The loss takes those that its class names.
    """
    if not isinstance(loss, str):
        dtype = "int" if target == "multiclass" else "float"
        return CallableLoss(loss, n_outputs, dtype)
    cls, given = loss_class(loss, target), parameters or {}
    return cls(
        **{
            name: n_outputs if name == "n_outputs" else given[name]
            for name in cls.parameters
        }
    )
