"""Input and output of the stochastic solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..data.source import RowSource
from ..losses import Loss
from ..nn.network import Network
from .optimizer_state import OptimizerState
from .solver import History


@dataclass(frozen=True)
class Problem:
    """A loss, and the rows on which it is minimized.

    Attributes
    ----------
    loss : Loss
    source : RowSource
        Training rows, and held-out rows for early stopping, if there are any.
    judge : callable or None
        Function from the raw scores of the held-out rows (n_rows, n_outputs) and the
        network to a score. None means minus the loss, or the metric of the loss.
    """

    loss: Loss
    source: RowSource
    judge: Callable[[np.ndarray, Network], float] | None = None


@dataclass(frozen=True)
class State:
    """A network before or after training.

    Attributes
    ----------
    network : Network
        Network, which is trained in place.
    new_columns : ndarray of bool of shape (n_columns,), or None
        Columns of a trained network whose factors have not been drawn yet.
    optimizers : list of OptimizerState
        States of the members' optimizers after earlier runs, from which they continue.
    history : History
    """

    network: Network
    new_columns: np.ndarray | None = None
    optimizers: list[OptimizerState] = field(default_factory=list)
    history: History = field(default_factory=History)
