"""Attention weights of AFM and AutoInt, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from .._sklearn import StrOptions, validate_params
from ..data.rows import Rows
from ..models.afm import AFMNetwork
from ..models.autoint import AutoIntNetwork
from ..nn.network import Network
from ..nn.pairwise import PairwiseNetwork
from ..runtime.threads import torch_threads
from ..sparse import FieldLookup
from .reading import Model, batches, to_float64


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "by": [StrOptions({"feature", "field"})],
    },
    prefer_skip_nested_validation=True,
)
def attention_weights(estimator: Any, X: Any, *, by: str = "feature") -> pd.DataFrame:
    """Compute the attention weights of an AFM or an AutoInt in each row.

    Of a model with several members, they are the mean of the members' weights.

    Parameters
    ----------
    estimator : AFM or AutoInt estimator
        Fitted estimator, or a pipeline or search that ends in one.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Rows, as the ``predict`` method of ``estimator`` accepts them.
    by : {"feature", "field"}, default="feature"
        Names of the entries of a pair of an AFM: those of their columns or of their
        fields. With "field", the weights of all pairs of the same two fields are added.
        The attention of an AutoInt is always between fields.

    Returns
    -------
    DataFrame
        For an AFM, one row for each pair of entries of each row of X, with the columns
        ``row``, ``first``, ``second`` and ``weight``. The weights of a row of X sum to
        one. A row of X with fewer than two entries has no pair.

        For an AutoInt, the columns are ``row``, ``layer``, ``head``, ``field``,
        ``attends_to`` and ``weight``, which is the attention of ``field`` to
        ``attends_to``. The weights of a field sum to one in each layer and head.

    Raises
    ------
    TypeError
        If the model has no attention.
    FieldInferenceError
        If ``by="field"`` and the fields are not known.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import AFMClassifier
    >>> from skfm.inspection import attention_weights
    >>> X = [["a", "x", "u"], ["a", "y", "u"], ["b", "x", "u"], ["b", "y", "u"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), AFMClassifier(random_state=0)).fit(X, y)
    >>> weights = attention_weights(model, X[:1])
    >>> weights[["first", "second"]].values.tolist()
    [['x0_a', 'x1_x'], ['x0_a', 'x2_u'], ['x1_x', 'x2_u']]
    >>> round(float(weights.weight.sum()), 6)
    1.0
    """
    model = Model.of(estimator)
    network = model.network
    kind = network.members[0]
    if not isinstance(kind, AFMNetwork | AutoIntNetwork):
        raise TypeError(
            f"{type(model.estimator).__name__} has no attention: fit an AFM or AutoInt "
            "estimator, or use skfm.inspection.explain, which accepts all models."
        )
    rows = model.rows(X)
    with torch_threads(1), torch.no_grad():
        if isinstance(kind, AutoIntNetwork):
            return pd.concat(_between_fields(network, rows, model), ignore_index=True)
        assert isinstance(network, PairwiseNetwork)
        frame = pd.concat(_of_pairs(network, rows, model, by), ignore_index=True)
    if by == "feature":
        return frame
    keys = ["row", "first", "second"]
    return frame.groupby(keys, sort=False, as_index=False)["weight"].sum()


def _of_pairs(
    network: PairwiseNetwork, rows: Rows, model: Model, by: str
) -> Iterator[pd.DataFrame]:
    names = model.column_names()
    if by == "field":
        fields, field_names = model.variables(rows)
        names = np.array(field_names, dtype=object)[fields]
    longest = rows.longest()
    members: list[Any] = network.members
    held = longest * (longest - 1) // 2 * network.table.width
    for start, batch in batches(network, rows, held):
        entries = network.entries(batch)
        parts = [entries.share(i, len(members)) for i in range(len(members))]
        each = [m.attention_weights(p) for m, p in zip(members, parts, strict=True)]
        weights = to_float64(torch.stack(each).mean(dim=0))  # (B, P)
        first, second = entries.pairs()
        of_row, pair = np.nonzero(second < np.diff(batch.indptr)[:, None])
        yield pd.DataFrame(
            {
                "row": start + of_row,
                "first": names[entries.columns[of_row, first[pair]]],
                "second": names[entries.columns[of_row, second[pair]]],
                "weight": weights[of_row, pair],
            }
        )


def _between_fields(
    network: Network, rows: Rows, model: Model
) -> Iterator[pd.DataFrame]:
    _, field_names = model.fields(rows)
    names = np.array(field_names, dtype=object)
    members: list[Any] = network.members
    n_layers, n_heads = len(members[0].attention), members[0].n_heads
    held = n_layers * n_heads * len(names) ** 2
    for start, batch in batches(network, rows, held):
        lookup = network.table.look_up(batch)
        assert isinstance(lookup, FieldLookup)
        each = [
            torch.stack(member.attention_weights(lookup.share(i, len(members))), dim=1)
            for i, member in enumerate(members)
        ]
        weights = to_float64(torch.stack(each).mean(dim=0))  # (B, L, H, F, F)
        row, layer, head, field, other = np.indices(weights.shape).reshape(5, -1)
        yield pd.DataFrame(
            {
                "row": start + row,
                "layer": layer,
                "head": head,
                "field": names[field],
                "attends_to": names[other],
                "weight": weights.ravel(),
            }
        )
