"""Models, rows and sums that the tests of inspection share."""

import numpy as np
import scipy.sparse as sp
from common_cases import ARCHITECTURES
from estimator_cases import CELLS, X, make

from skfm.datasets import make_interactions
from skfm.nn.pairwise import PairwiseNetwork

PAIRWISE = [
    cls
    for cls in ARCHITECTURES
    if issubclass(make(cls)._network_class, PairwiseNetwork)
]
DEEP = [cls for cls in ARCHITECTURES if cls not in PAIRWISE]
#: Fewer entries than fields in some rows, values other than one.
UNEVEN = sp.csr_array(X[:30].toarray() * np.linspace(0, 2, X.shape[1]))


def sums(terms, n_rows):
    """Sum of each row's contributions, a column for each of several outputs."""
    if "output" not in terms:
        return terms.groupby("row")["contribution"].sum().reindex(range(n_rows))
    wide = terms.groupby(["row", "output"])["contribution"].sum().unstack()
    return wide.reindex(range(n_rows))


def several_outputs(cls):
    if "Classifier" in cls.__name__:
        return np.array(["p", "q", "r"])[CELLS[:, 0] % 3]
    return np.column_stack([CELLS[:, 0], 10 - CELLS[:, 1]])


def planted(n_samples=2000, seed=0):
    return make_interactions(
        n_samples,
        n_fields=6,
        n_categories=5,
        kind="field_pair",
        n_groups=1,
        zipf=0.5,
        return_truth=True,
        random_state=seed,
    )
