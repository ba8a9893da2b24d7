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
    """A loss, and the rows on which it is to be small.

    Attributes
    ----------
    loss : Loss
    source : RowSource
        Held-out rows, if it has any, are those to stop early on.
    judge : callable or None
        Scores the held-out rows from their raw scores (n_rows, n_outputs) and the
        network; None: minus the loss, or the loss's own metric.
    """

    loss: Loss
    source: RowSource
    judge: Callable[[np.ndarray, Network], float] | None = None


@dataclass(frozen=True)
class State:
    """A network, trained or about to be.

    Attributes
    ----------
    network : Network
        Trained in place.
    new_columns : ndarray of bool of shape (n_columns,), or None
        Columns of a trained network whose factors are still to be drawn.
    optimizers : list of OptimizerState
        States of the optimizers of the members' earlier runs, to go on from.
    history : History
    """

    network: Network
    new_columns: np.ndarray | None = None
    optimizers: list[OptimizerState] = field(default_factory=list)
    history: History = field(default_factory=History)
