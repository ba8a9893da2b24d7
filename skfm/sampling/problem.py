"""Problem and options of the sampler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Family = Literal["gaussian", "logistic", "multinomial"]


@dataclass(frozen=True)
class Problem:
    """Data, their fields, and the family of the targets' distribution.

    Parameters
    ----------
    csr : scipy.sparse.csr_matrix or csr_array of shape (n_rows, n_columns)
        Float32 or float64 in canonical form. It is only read, so that its arrays may be
        read-only and mapped from a file.
    fields : ndarray of shape (n_columns,), int, or None
        Field of each column, from 0; None makes one field of all.
    n_fields : int
        Number of fields.
    target : ndarray
        Family "gaussian": float64 of shape (n_rows, n_outputs), of which each output
        has about zero mean and unit variance, as the priors assume. "logistic": codes
        0 and 1 of shape (n_rows,). "multinomial": codes 0 to n_classes - 1.
    weight : ndarray of shape (n_rows,), float64, or None
        Non-negative weights: 2 is the row twice, 0 the row left out.
    family : {"gaussian", "logistic", "multinomial"}
        Distribution of the target given the score.
    n_classes : int, default=2
        Number of classes of "multinomial".
    """

    csr: Any
    fields: np.ndarray | None
    n_fields: int
    target: np.ndarray
    weight: np.ndarray | None
    family: Family
    n_classes: int = 2

    def __post_init__(self) -> None:
        n_rows, n_columns = self.csr.shape
        if self.family not in ("gaussian", "logistic", "multinomial"):
            raise ValueError(
                f"family={self.family!r} is not one of 'gaussian', 'logistic', "
                "'multinomial'"
            )
        if n_rows >= 2**31:
            raise ValueError(f"the sampler takes fewer than 2**31 rows, got {n_rows}")
        if len(self.target) != n_rows:
            raise ValueError(f"target has {len(self.target)} rows, X has {n_rows}")
        if self.fields is not None and len(self.fields) != n_columns:
            raise ValueError(
                f"fields has {len(self.fields)} entries, X has {n_columns} columns"
            )
        if self.weight is not None and not np.any(self.weight > 0):
            raise ValueError("all weights are zero: give some rows a weight above 0")
        if n_rows == 0:
            raise ValueError("X has no rows: the sampler needs at least one")

    @property
    def n_columns(self) -> int:
        return int(self.csr.shape[1])

    @property
    def n_outputs(self) -> int:
        """Scores of a row: outputs, classes, or the one log-odds of two classes."""
        if self.family == "gaussian":
            return int(self.target.shape[1])
        return 1 if self.family == "logistic" else self.n_classes

    def field_of_columns(self) -> np.ndarray:
        """Field of each column, (n_columns,) int32."""
        if self.fields is None:
            return np.zeros(self.n_columns, np.int32)
        return np.asarray(self.fields, np.int32)


@dataclass(frozen=True)
class Prior:
    """Priors of a factorization machine, in units of the logit or of std(y).

    The standard deviation of a field's weights or of one of its factors is half-t
    distributed (Gelman, Bayesian Analysis 2006), with scales that depend on the number
    m of entries in a row such that neither the variance of the sum of m weights nor
    that of the sum of m (m - 1) / 2 pairs depends on m, the latter not on k either. In
    wide rows, few of the pairs act: above ``wide`` entries, the scale of the factors is
    smaller by ``wide`` / m.

    Parameters
    ----------
    weight : float, default=0.9
        The weights' scale times sqrt(m).
    factor : float, default=0.49
        The factors' scale times (k m (m - 1) / 2)^(1/4), for m of at most ``wide``.
    wide : float, default=24.0
        Number of entries of a row up to which all pairs may act.
    degrees : float, default=3.0
        Degrees of freedom of the half-t distributions.
    pull : float, default=1.0
        A field's mean is normal about 0 with the field's precision times ``pull``.
    intercept : float, default=10.0
        Standard deviation of the intercept.
    noise : (float, float), default=(0.5, 0.5)
        Shape and rate of the Gamma prior of the noise's precision.
    """

    weight: float = 0.9
    factor: float = 0.49
    wide: float = 24.0
    degrees: float = 3.0
    pull: float = 1.0
    intercept: float = 10.0
    noise: tuple[float, float] = (0.5, 0.5)

    def scales(self, n_factors: int, entries: float) -> np.ndarray:
        """Scales of the half-t priors, (n_factors + 1,), the weight's last.

        Parameters
        ----------
        n_factors : int
        entries : float
            Mean number m of entries in a row.
        """
        pairs = max(1.0, entries * (entries - 1) / 2)
        scales = np.full(n_factors + 1, self.weight / np.sqrt(max(1.0, entries)))
        scales[:-1] = self.factor / (max(1, n_factors) * pairs) ** 0.25
        scales[:-1] *= min(1.0, self.wide / max(1.0, entries))
        return scales


@dataclass(frozen=True)
class Settings:
    """Options of the sampler.

    Parameters
    ----------
    n_factors : int, default=16
        Rank k of the pairs; 0 leaves a linear model.
    n_chains : int, default=2
        Independent chains, run side by side.
    max_iter : int, default=400
        Iterations of each chain at most.
    burn_in : int, default=50
        Iterations of each chain that are never kept.
    n_samples : int, default=64
        Samples kept at most, of all chains together.
    tol : float or None, default=1.05
        Stop when `diagnostics.split_rhat` of the scores is below it; None runs
        ``max_iter`` iterations.
    seed : int, default=0
        Seed of all random numbers.
    n_threads : int, default=1
        Threads; their number changes no result.
    prior : Prior
        The priors.
    """

    n_factors: int = 16
    n_chains: int = 2
    max_iter: int = 400
    burn_in: int = 50
    n_samples: int = 64
    tol: float | None = 1.05
    seed: int = 0
    n_threads: int = 1
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        for name, least in (
            ("n_factors", 0),
            ("n_chains", 1),
            ("max_iter", 1),
            ("burn_in", 0),
            ("n_samples", 1),
            ("n_threads", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be at least {least}, got {getattr(self, name)}"
                )
