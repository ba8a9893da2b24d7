"""Records of the iterations of fits, and what fitted models have of each member."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from ..persistence.records import require
from ..training.optimizer_state import OptimizerState
from ..training.solver import History

_CURVES = ("loss_curve", "validation_scores")


def history_attributes(history: History, earlier: Any = None) -> dict[str, Any]:
    """Return the fitted attributes about the iterations of a fit.

    Parameters
    ----------
    history : History
    earlier : estimator or None
        The model whose fit it goes on from, the iterations of which come first.
    """
    before = None
    if earlier is not None:
        before = {name: getattr(earlier, f"{name}_") for name in _CURVES}
    whole = _record(before, history)
    known = [] if earlier is None else earlier.members_
    return {
        **{f"{name}_": value for name, value in whole.items()},
        "n_iter_": len(whole["loss_curve"]),
        "members_": [_record(*pair) for pair in zip_longest(known, history.members)],
    }


def _record(before: dict[str, Any] | None, history: History) -> dict[str, Any]:
    """Return the record of a run, behind that of an earlier one if there was one."""
    known = {name: [] if before is None else before[name] for name in _CURVES}
    return {
        **{name: curve + getattr(history, name) for name, curve in known.items()},
        "best_iter": len(known["loss_curve"]) + history.best_epoch,
    }


def check_members(model: Any) -> None:
    """Check what a model from a file has of each member.

    Raises
    ------
    ValueError
        If it does not fit the network.
    """
    fitted, networks = vars(model), model._scorer.members
    # Files from before there were members have the state of one optimizer.
    earlier = fitted.pop("_optimizer_state", None)
    states = fitted.setdefault("_optimizers", [] if earlier is None else [earlier])
    require(isinstance(states, list), "the optimizers are no list")
    require(len(states) in (0, len(networks)), "a member has no optimizer")
    for network, state in zip(networks, states, strict=False):
        require(isinstance(state, OptimizerState), "the optimizer's state is none")
        state.check_fits(network)
    records = fitted.setdefault("members_", [])
    n_records = len(networks) if len(networks) > 1 else 0
    fine = isinstance(records, list) and len(records) == n_records
    require(fine, "the members' records are not of the network")
    for record in records:
        fine = isinstance(record, dict) and isinstance(record.get("best_iter"), int)
        fine = fine and all(isinstance(record.get(name), list) for name in _CURVES)
        require(fine, "a member's record is none")
