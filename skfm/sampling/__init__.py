"""Bayesian factorization machines by blocked Gibbs sampling.

`sample` turns a `Problem` (data, fields, family of the targets) and `Settings` into a
`State`: its ``posterior`` predicts and its ``diagnostics`` say how the chains went::

    run = sample(Problem(X, fields, n_fields, y, weight, "logistic"), Settings())
    mean, deviation = run.posterior.mean(X_test)
    again = sample(problem, settings, run.to_arrays())  # the chains go on

The modules, from the ground up: random numbers (`random`, `polya_gamma`), the data
(`problem`, `rows`, `layout`, `data`), the draws (`octets`, `columns`, `sweeps`,
`priors`, `scales`, `overlaps`), machines and chains of them (`machine`, `likelihoods`,
`chain`), and runs (`keeping`, `diagnostics`, `posterior`, `sampler`, `held_out`). A
family of targets is a class of `likelihoods`; any model whose score is linear in one
column's numbers given all others can be drawn by kernels like those of `columns`.
"""

from .chain import DivergenceError, Sample
from .diagnostics import bulk_ess, split_rhat
from .held_out import HeldOut
from .posterior import Posterior
from .problem import Family, Prior, Problem, Settings
from .sampler import Diagnostics, State, n_chains, sample

__all__ = [
    "Diagnostics",
    "DivergenceError",
    "Family",
    "HeldOut",
    "Posterior",
    "Prior",
    "Problem",
    "Sample",
    "Settings",
    "State",
    "bulk_ess",
    "n_chains",
    "sample",
    "split_rhat",
]
