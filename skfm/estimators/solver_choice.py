"""The choice between the two solvers of factorization machines."""

from __future__ import annotations

from typing import Any

from ..exceptions import IgnoredParameterWarning
from ..runtime.warnings import warn
from . import defaults
from .bayesian_problem import table_bytes
from .data import FitData
from .run import Run

#: Work that ``solver="auto"`` gives to chains: non-zeros x iterations x chains x
#: outputs, at 16 factors. Two cores do some 12 to 25 million a second.
BUDGET = 6e9
#: Bytes of samples that ``solver="auto"`` keeps.
TABLE_BUDGET = 4 << 30

#: Parameters that only the stochastic solver reads, beside those that it alone can do.
_STOCHASTIC = (
    "alpha_linear",
    "alpha_factors",
    "alpha",
    "optimizer",
    "learning_rate",
    "network_learning_rate",
    "batch_size",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "tol",
    "init_scale",
    "n_members",
    "momentum",
    "l1_ratio_linear",
    "l1_ratio_factors",
    "learning_rate_schedule",
    "warmup_epochs",
    "clip_norm",
)
#: Parameters that the Bayesian solver cannot do unless they have these values.
_UNABLE = {"device": "cpu", "init_from": None, "freeze": False, "checkpoint": None}


def may_sample(model: Any) -> bool:
    """Return whether the parameters leave the Bayesian solver to be chosen."""
    if model.solver == "sgd" or _lacks(model):
        return False
    return model.solver == "bayes" or _unread(model) is None


def choose_solver(model: Any, data: FitData, run: Run, *, resume: bool) -> str:
    """Choose the solver of a call; with ``model.verbose``, print it and why.

    Parameters
    ----------
    model : estimator
        Its parameter ``solver`` is "auto", "bayes" or "sgd".
    data : FitData
    run : Run
    resume : bool
        Whether the call goes on from the last fit.

    Returns
    -------
    {"bayes", "sgd"}

    Raises
    ------
    ValueError
        If ``solver="bayes"`` cannot do what the call asks.

    Warns
    -----
    IgnoredParameterWarning
        If parameters are given that ``solver="bayes"`` does not read.
    """
    if model.solver == "sgd":
        chosen, why = "sgd", ""
    elif model.solver == "bayes":
        chosen, why = "bayes", ""
        _check_bayes(model, data, run, resume)
    else:
        chosen, why = _choose(model, data, run, resume)
    if model.verbose:
        print(f"solver={chosen}{why}", flush=True)
    return chosen


def _check_bayes(model: Any, data: FitData, run: Run, resume: bool) -> None:
    """Refuse what the Bayesian solver cannot do, and warn of what it ignores."""
    unable = _unable(model, data, run)
    if unable:
        raise ValueError(f'solver="bayes" {unable}: set solver="sgd" or "auto".')
    stuck = _stuck(model, resume)
    if stuck:
        raise ValueError(f'solver="bayes" {stuck}: set warm_start=False.')
    unread = _unread(model)
    if unread:
        warn(
            f'solver="bayes" {unread}: leave them out, or set solver="sgd".',
            IgnoredParameterWarning,
        )


def _choose(model: Any, data: FitData, run: Run, resume: bool) -> tuple[str, str]:
    """Choose for ``solver="auto"``, and say why."""
    if data.streamed:
        return "sgd", f': "bayes" {_unable(model, data, run)}'
    work = data.X.nnz * run.iterations(defaults.ITERATIONS) * model.n_chains
    work *= model._n_outputs() * max(16, model.n_factors) / 16
    doing = f"do {work:.1e} non-zeros x iterations x chains x outputs"
    size = table_bytes(model, data.n_columns)
    keeping = f"keep {size / 2**30:.1f} GiB of samples"
    reason = _unable(model, data, run) or _unread(model) or _stuck(model, resume)
    if reason is None and work > BUDGET:
        reason = f"would {doing}, more than {BUDGET:.0e}"
    if reason is None and size > TABLE_BUDGET:
        reason = f"would {keeping}, more than {TABLE_BUDGET / 2**30:.0f}"
    if reason is not None:
        return "sgd", f': "bayes" {reason}'
    allowed = f"of {BUDGET:.0e}", f"of {TABLE_BUDGET / 2**30:.0f}"
    return "bayes", f": to {doing} at most ({allowed[0]}) and {keeping} ({allowed[1]})"


def _unable(model: Any, data: FitData, run: Run) -> str | None:
    """Say what the Bayesian solver cannot do of the call, or return None."""
    if data.streamed:
        return "needs all rows in memory, but X is a dataset"
    if getattr(model, "_multilabel", False):
        return "takes one label a row"
    if run.offset is not None and model.loss != "squared_error":
        return "takes offsets of regressors only"
    if run.one_pass:
        return "has no partial_fit"
    return _lacks(model)


def _lacks(model: Any) -> str | None:
    """Say what the Bayesian solver lacks of the parameters, or return None."""
    if model.loss not in ("squared_error", "log_loss"):
        return f"has no loss={model.loss!r}"
    for name, value in _UNABLE.items():
        if getattr(model, name) != value:
            return f"has no {name}"
    return None


def _unread(model: Any) -> str | None:
    """Name parameters that are given for the stochastic solver, or return None."""
    given = [name for name in _STOCHASTIC if getattr(model, name) is not None]
    return f"does not read {', '.join(given)}" if given else None


def _stuck(model: Any, resume: bool) -> str | None:
    """Say why the last fit cannot be continued by chains, or return None."""
    if resume and model.solver_ == "sgd":
        return "cannot go on from a fit by stochastic gradients"
    return None
