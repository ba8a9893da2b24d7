"""A summary of a fitted estimator: what it was fitted on, and its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from ..nn.network import Network
    from ..nn.samples import Samples


def weights_table(network: Network | Samples) -> pd.DataFrame:
    """List the arrays of weights of a network.

    Parameters
    ----------
    network : Network or Samples

    Returns
    -------
    DataFrame
        "shape" and "parameters" of each array, by its name.
    """
    named = {
        name: array
        for name, array in network.host_arrays().items()
        if array.dtype.kind == "f" and array.size
    }
    return pd.DataFrame(
        {
            "shape": [" x ".join(map(str, a.shape)) for a in named.values()],
            "parameters": [a.size for a in named.values()],
        },
        index=pd.Index(list(named), name="weights"),
    )


def summarize(model: Any) -> str:
    """Describe a fitted estimator in some lines of text; see its ``summary``."""
    table = weights_table(model._scorer)
    total = int(table["parameters"].sum())
    table["parameters"] = table["parameters"].map("{:,}".format)
    solver = {"solver": model.solver_} if hasattr(model, "solver_") else {}
    facts = {
        **solver,
        "iterations": _iterations(model),
        "rows": f"{model._column_statistics.n_rows:,} to learn from",
        "columns": _columns(model),
        "loss": _loss(model),
        "parameters": f"{total:,}",
    }
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {text}" for name, text in facts.items()]
    return "\n".join([repr(model), *lines, "", table.to_string(index_names=False)])


def _iterations(model: Any) -> str:
    n_samples = model._scorer.shape.n_samples
    if n_samples > 1:
        return f"{model.n_iter_} of each chain, {n_samples} samples kept"
    if model.n_members_ > 1:
        best = ", ".join(str(member["best_iter"]) for member in model.members_)
        return f"{model.n_iter_}, the weights of the members are those of {best}"
    return f"{model.n_iter_}, the weights are those of iteration {model.best_iter_}"


def _columns(model: Any) -> str:
    shape = model._scorer.shape
    text = f"{model.n_features_in_:,} of X"
    if model._codec is not None:
        text += f", encoded as {shape.n_columns:,}"
    if model.fields_ is not None:
        text += f", in {shape.n_fields:,} fields"
    crosses = len(model.crosses_)
    return text + (f", {crosses} of them crosses" if crosses else "")


def _loss(model: Any) -> str:
    place = max(0, model.best_iter_ - 1)
    text = f"{model.loss_curve_[place]:.4g} in training"
    if model.validation_scores_:
        text += f"; score on held-out rows {model.validation_scores_[place]:.4g}"
    return text
