"""Values of "auto" parameters, from the size of the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..runtime.lazy import torch

#: Iterations of a chain, and epochs, where ``max_iter`` is not given.
ITERATIONS, EPOCHS = 200, 100
#: Rows from which float32 is enough. What double precision is for, that weights are
#: repetitions and such, holds for single batches; beyond them it only costs time.
_SINGLE_PRECISION_ROWS = 1_000
#: Fewer rows make one full batch, and none are held out: a tenth of them would not tell
#: when to stop. A row of weight two is then exactly two rows, as scikit-learn checks.
FULL_BATCH = 64
#: Rows that a full batch counts as, whatever their number.
ROWS_OF_FULL_BATCH = 256
MAX_AUTO_BATCH = 8192
#: Rows up to which, and from which, penalty and learning rate are constant.
FEW_ROWS, MANY_ROWS = 3_000, 30_000
#: Networks to average between two numbers of rows. They lower the loss by 1 to 2 % at
#: any number of rows, two by half as much, and eight by a fifth more; it is the time of
#: the fit that asks for fewer of many rows, and of so few that there is nothing to win.
MANY_MEMBERS = 4.0
SOME_ROWS, ENOUGH_ROWS, ONE_MEMBER_ROWS = 1_000, 20_000, 200_000
#: An epoch has about this many batches, until they reach the maximal size ...
_BATCHES_PER_EPOCH = 256
#: ... but of few rows batches are of this size, or of twice the root of their number if
#: that is less. Early stopping looks at the weights after each epoch, and epochs of a
#: few large steps pass over the best ones.
_SMALL_BATCH = 256
#: Rows of fewer entries are learnt from as if they had so many.
_FEW_ENTRIES = 10.0


def dtype(asked: str, X: Any) -> str:
    """float32 or float64 for a fit on X."""
    if asked != "auto":
        return asked
    if X.shape[0] >= _SINGLE_PRECISION_ROWS or X.dtype == np.float32:
        return "float32"
    return "float64"


def batch_size(
    asked: int | str, n_rows: int, n_train: int, most: int | None = None
) -> int:
    """Return the number of rows per step, at most ``n_train``.

    Parameters
    ----------
    asked : int or "auto"
    n_rows : int
        Rows passed to `fit`.
    n_train : int
        Number of rows that are not held out.
    most : int or None, default=None
        Upper limit of the automatic value.
    """
    if not isinstance(asked, str):
        return min(asked, n_train)
    wanted = n_train
    if n_rows >= FULL_BATCH:
        few = min(int(2 * np.sqrt(n_train)), _SMALL_BATCH)
        wanted = int(np.clip(n_train // _BATCHES_PER_EPOCH, few, MAX_AUTO_BATCH))
        wanted = min(wanted, n_train)
    return wanted if most is None else min(wanted, most)


def learning_rate(
    asked: float | str,
    optimizer: str,
    n_rows: int,
    *,
    entries: float = 1.0,
    ranked: bool = False,
) -> float:
    """Step size of the table's optimizer.

    ``entries``: average number of entries of a row.
    ``ranked``: batches hold whole queries, so that what only one query has, such as the
    weights of a user, is touched once an epoch.
    """
    if not isinstance(asked, str):
        return float(asked)
    if optimizer != "adam":
        # A first step of all columns of a row moves its score by one at most.
        return 1 / max(entries, _FEW_ENTRIES)
    # Moments of rare columns are young, whatever the data; of many rows there are
    # more steps to take.
    return 0.01 if ranked else between(n_rows, (FEW_ROWS, 0.01), (MANY_ROWS, 0.003))


def alpha_factors(asked: float | str, n_rows: int, *, ranked: bool = False) -> float:
    """L2 strength on the embeddings: the fewer rows, the more of it.

    ``ranked``: the loss of a row is shared with the others of its query, and a weaker
    penalty matches it.
    """
    if not isinstance(asked, str):
        return float(asked)
    if ranked:
        return 0.003
    return between(n_rows, (FEW_ROWS, 0.03), (MANY_ROWS, 0.01))


def between(n_rows: int, few: tuple[int, float], many: tuple[int, float]) -> float:
    """Value at a number of rows, by a power law between two points; constant outside.

    Parameters
    ----------
    n_rows : int
    few, many : (int, float)
        Numbers of rows, ascending, and the positive values there.
    """
    rows, values = zip(few, many, strict=True)
    return float(np.exp(np.interp(np.log(n_rows), np.log(rows), np.log(values))))


def n_members(n_rows: int) -> int:
    """Return the number of networks to average, of which each holds rows out."""
    few = between(n_rows, (FULL_BATCH, 1.0), (SOME_ROWS, MANY_MEMBERS))
    many = between(n_rows, (ENOUGH_ROWS, MANY_MEMBERS), (ONE_MEMBER_ROWS, 1.0))
    return round(min(few, many))


def early_stopping(asked: bool | str, n_rows: int, *, given: bool) -> bool:
    """Return whether to stop early; ``given`` if validation rows were passed."""
    if isinstance(asked, str):
        return given or n_rows >= FULL_BATCH
    return bool(asked)


def device(asked: str) -> str:
    """Return a device that exists and has what training needs.

    Raises
    ------
    ValueError
        If torch does not know it, this machine does not have it, or torch cannot sum
        runs of rows on it.
    """
    try:
        rows = torch.ones(2, 1, device=asked)
        lengths = torch.tensor([2], device=asked)
        torch.segment_reduce(rows, "sum", lengths=lengths, axis=0).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={asked!r} is not available here ({reason}); 'cpu' always is."
        ) from error
    return asked
