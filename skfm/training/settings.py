"""Hyper-parameters of a run of stochastic gradients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of one run, with the names that estimators give them."""

    max_iter: int
    batch_size: int
    optimizer: str
    learning_rate: float
    network_learning_rate: float
    alpha_linear: float
    alpha_factors: float
    alpha: float
    n_iter_no_change: int
    tol: float
    n_threads: int
    early_stopping: bool
    momentum: float = 0.0
    l1_ratio_linear: float = 0.0
    l1_ratio_factors: float = 0.0
    clip_norm: float | None = None
    freeze: bool = False
    #: Rows that the mean gradient of a batch stands for; None: as many as it has.
    rows_per_step: int | None = None
    init_scale: float = 0.05
    learning_rate_schedule: str = "constant"
    warmup_epochs: float = 0.0
