"""Checks of fits by several processes together."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from ..distributed.groups import communicator
from .streams import is_streamed

__all__ = ["check_collective"]


def check_collective(model: Any, X: Any) -> None:
    """Refuse a fit inside of a group of processes that cannot be collective.

    Raises
    ------
    ValueError
        If this is the case; the message names the remedy.
    """
    if communicator() is None:
        return
    block = "inside of skfm.distributed.group()"
    if not is_streamed(X):
        raise ValueError(
            f"X must be a dataset {block}, where fits are collective; got a "
            f"{type(X).__name__}. Fit rows in memory outside of the block."
        )
    if not isinstance(model.random_state, Integral):
        raise ValueError(
            f"random_state must be an int {block}, the same for all processes; got "
            f"random_state={model.random_state!r}."
        )
    if not str(model.device).startswith("cpu"):
        raise ValueError(
            f'device must be "cpu" {block}; got device={model.device!r}. Fit on a GPU '
            "in one process, outside of the block."
        )
