"""Samples of factorization machines as arrays, which score rows without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_softmax, logsumexp

from ..data.batch import Batch
from ..persistence.records import require
from ..sparse.sample_scores import sample_sums, score_samples
from .shape import Shape

if TYPE_CHECKING:
    from .posterior import PosteriorNetwork

#: Functions from the mean prediction of the samples to a raw score.
LINKS = ("identity", "logit", "softmax")


@dataclass(frozen=True, eq=False)
class Samples:
    """The mean prediction of S factorization machines, as a raw score.

    It scores rows, and describes its weights, as networks do. `PosteriorNetwork` is the
    same model for all that is done with networks beside that.

    Attributes
    ----------
    shape : Shape
        ``n_samples`` is S; ``n_factors`` is that of all samples and outputs together,
        S C k.
    link : {"identity", "logit", "softmax"}
        Function from the mean prediction to a raw score.
    factors : ndarray of shape (n_columns, S C k)
        Factors of each column, divided by sqrt(S).
    linear : ndarray of shape (n_columns, S C)
    bias : ndarray of shape (C,)
        Mean of the intercepts of the samples.
    offsets : ndarray of shape (S, C)
        Their intercepts less the mean.
    noise : ndarray of shape (S, C)
        Standard deviations of the noise.
    """

    shape: Shape
    link: str
    factors: np.ndarray
    linear: np.ndarray
    bias: np.ndarray
    offsets: np.ndarray
    noise: np.ndarray

    has_linear = shares_pair_weights = fuses_scores = True

    @classmethod
    def of(
        cls,
        factors: np.ndarray,
        linear: np.ndarray,
        intercept: np.ndarray,
        noise: np.ndarray,
        *,
        link: str,
        fields: np.ndarray | None,
        dtype: str,
    ) -> Samples:
        """Take over the arrays of samples, and divide the factors by sqrt(S).

        Parameters
        ----------
        factors : ndarray of shape (n_columns, S C k)
        linear : ndarray of shape (n_columns, S C)
        intercept, noise : ndarray of shape (S, C)
        link : {"identity", "logit", "softmax"}
        fields : ndarray of shape (n_columns,) or None
        dtype : {"float32", "float64"}
        """
        (n_columns, n_factors), (n_samples, n_outputs) = factors.shape, intercept.shape
        shape = Shape(
            n_columns=n_columns,
            n_factors=n_factors,
            n_outputs=n_outputs,
            fields=fields,
            dtype=dtype,
            n_samples=n_samples,
        )
        factors /= np.float32(n_samples**0.5)
        centre = intercept.astype(np.float64)
        mean = centre.mean(axis=0)
        parts = factors, linear, mean, centre - mean, noise
        return cls(shape, link, *(a.astype(dtype, copy=False) for a in parts))

    @classmethod
    def sizes(cls, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays of a model of a shape, by name."""
        of_samples = shape.n_samples, shape.n_outputs
        return {
            "factors": (shape.n_columns, shape.n_factors),
            "linear": (shape.n_columns, shape.n_samples * shape.n_outputs),
            "bias": (shape.n_outputs,),
            "offsets": of_samples,
            "noise": of_samples,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in vars(self).items() if name != "network"}

    def check(self) -> None:
        """Raise a ValueError unless kernels can score rows by the arrays."""
        check_link(self.shape, self.link)
        require(self.shape.n_members == 1, "a posterior has no members")
        found = {name: array.shape for name, array in self.host_arrays().items()}
        require(found == self.sizes(self.shape), "the samples do not fit each other")
        fine = bool((np.isfinite(self.noise) & (self.noise > 0)).all())
        require(fine, "the noise of a sample is not a positive number")

    @cached_property
    def network(self) -> PosteriorNetwork:
        """The samples as a network of torch, which shares the arrays of the columns."""
        from .posterior import PosteriorNetwork

        return PosteriorNetwork.of(self)

    # What estimators read of a network.

    @property
    def config(self) -> dict[str, Any]:
        """Arguments from which the network is built."""
        return {"shape": self.shape, "link": self.link}

    def host_arrays(self) -> dict[str, np.ndarray]:
        """Return all weights, by name."""
        return {name: getattr(self, name) for name in self.sizes(self.shape)}

    @property
    def members(self) -> list[Samples]:
        """Models whose mean score is that of this one: itself."""
        return [self]

    @property
    def model_factors(self) -> int:
        """Length k of an embedding of each sample and output."""
        return self.shape.n_factors // self.offsets.size

    def fixed_options(self) -> dict[str, Any]:
        """Return the parameters that sampling on does not change, by name."""
        return {"n_factors": self.model_factors}

    @property
    def linear_weights(self) -> np.ndarray:
        """Posterior means of the linear weights, (n_columns, n_outputs)."""
        parts = self.linear.reshape(len(self.linear), *self.offsets.shape)
        means: np.ndarray = parts.mean(axis=1)
        return means

    def pair_weights(self, first: int, second: int) -> np.ndarray:
        """Return the weights of the products of two columns' factors, (S C k, C)."""
        n_samples, n_outputs = self.offsets.shape
        each = np.repeat(np.eye(n_outputs), self.model_factors, axis=0)
        return np.tile(each, (n_samples, 1))

    def sample(self, number: int) -> tuple[np.ndarray, ...]:
        """Return the parameters of one sample.

        Returns
        -------
        factors : ndarray of shape (n_columns, C, k)
        linear : ndarray of shape (n_columns, C)
        intercept, noise : ndarray of shape (C,)
        """
        n_columns, size = self.shape.n_columns, self.offsets.shape
        factors = self.factors.reshape(n_columns, *size, -1)[:, number]
        return (
            factors * self.factors.dtype.type(self.shape.n_samples**0.5),
            self.linear.reshape(n_columns, *size)[:, number],
            self.bias + self.offsets[number],
            self.noise[number],
        )

    def check_memory(self, longest: int) -> None:
        """Pass rows of any length."""

    def prepare(self, batch: Batch) -> Batch:
        """Return the batch as it is."""
        return batch

    def fused_scores(self, batch: Batch, n_threads: int = 1) -> np.ndarray:
        """Compute the raw scores of a batch, (B, n_outputs) in float64."""
        if self.link == "softmax":
            scores = log_softmax(self.sample_scores(batch, n_threads), axis=2)
            return logsumexp(scores, axis=1) - np.log(self.shape.n_samples)
        return score_samples(
            (self.factors, self.linear),
            self.bias + self.offsets,
            batch,
            scale=self.shape.n_samples,
            logit=self.link == "logit",
            n_threads=n_threads,
        )

    def sample_scores(self, batch: Batch, n_threads: int = 1) -> np.ndarray:
        """Compute the scores of the samples, (B, S, n_outputs)."""
        linear, pairs = sample_sums((self.factors, self.linear), batch, n_threads)
        scores = linear + self.factors.dtype.type(self.shape.n_samples) * pairs
        return scores.reshape(-1, *self.offsets.shape) + (self.offsets + self.bias)


def check_link(shape: Shape, link: str) -> None:
    """Raise a ValueError unless samples of a shape can be scored by a link."""
    require(link in LINKS, f"link is {link!r}")
    whole = shape.n_factors % (shape.n_samples * shape.n_outputs) == 0
    require(whole, "n_factors is not that of all samples and outputs together")
