"""Warnings and errors of skfm, by which they can be told from others."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning as _ConvergenceWarning

__all__ = [
    "ConvergenceWarning",
    "IdsAsNumbersWarning",
    "IgnoredParameterWarning",
    "SingleQueryWarning",
    "WorkerLostError",
    "WorseThanConstantWarning",
]


class ConvergenceWarning(_ConvergenceWarning):
    """Chains of the Bayesian solver still disagree at the end of a fit."""


class IdsAsNumbersWarning(UserWarning):
    """Integers of an array are read as numbers, but look like ids."""


class IgnoredParameterWarning(UserWarning):
    """A parameter was given that the chosen solver does not read."""


class SingleQueryWarning(UserWarning):
    """A ranker was not told the queries, so that all rows are one."""


class WorkerLostError(RuntimeError):
    """Another process of `skfm.distributed.group` has ended, or does not answer."""


class WorseThanConstantWarning(UserWarning):
    """A fitted model has a larger loss than the best constant, beyond noise."""
