"""Bayesian factorization machines by blocked Gibbs sampling; see `sampler.sample`."""

from .diagnostics import bulk_ess, split_rhat
from .posterior import Posterior
from .problem import Prior, Problem, Settings
from .sampler import Diagnostics, State, sample

__all__ = [
    "Diagnostics",
    "Posterior",
    "Prior",
    "Problem",
    "Settings",
    "State",
    "bulk_ess",
    "sample",
    "split_rhat",
]
