"""Samples of factorization machines as one network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.batch import Batch
from ..sparse import SampleLookup
from .pairwise import Entries, PairwiseNetwork
from .samples import Samples, check_link
from .shape import Shape


class PosteriorNetwork(PairwiseNetwork[SampleLookup]):
    """The mean prediction of S factorization machines, as a raw score.

    The score of sample s is f_s = w0_s + sum w_is x_i + sum_{i<j} <v_is, v_js> x_i x_j.
    Raw scores are such that the link of the loss turns them into the mean of the
    samples' predictions: the mean of f_s, the log odds of the mean of sigmoid(f_s), or
    the logarithm of the mean of softmax(f_s).

    A column holds the numbers of all samples side by side: of sample s and output c the
    linear weight is number s C + c, and factor a is number (s C + c) k + a. Factors are
    divided by sqrt(S): then the inner product of two columns' factors is the posterior
    mean of their interaction. Factors of two samples cannot be compared, because they
    may be rotated.

    Parameters
    ----------
    shape, link
        As of `Samples`.
    """

    lookup = "by_sample"
    shares_pair_weights = True

    def __init__(self, shape: Shape, *, link: str) -> None:
        check_link(shape, link)
        size = shape.n_samples, shape.n_outputs
        self.link = link
        super().__init__(shape)
        #: Products of the samples' own factors in those of the table.
        self.scale = shape.n_samples
        #: Intercepts of the samples less their mean, and the noise's deviations.
        self.register_buffer("offsets", torch.zeros(size))
        self.register_buffer("noise", torch.ones(size))

    offsets: Tensor
    noise: Tensor

    @property
    def model_factors(self) -> int:
        return self.shape.n_factors // self.offsets.numel()

    def fixed_options(self) -> dict[str, Any]:
        return {"n_factors": self.model_factors}

    @property
    def linear_weights(self) -> Tensor:
        """Posterior means of the linear weights, (n_columns, n_outputs)."""
        weights = self.table.weight.linear
        return weights.view(len(weights), *self.offsets.shape).mean(dim=1)

    def sample(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the parameters of one sample.

        Returns
        -------
        factors : Tensor of shape (n_columns, C, k)
        linear : Tensor of shape (n_columns, C)
        intercept, noise : Tensor of shape (C,)
        """
        weight, size = self.table.weight, self.offsets.shape
        factors = weight.factors.view(self.shape.n_columns, *size, -1)[:, number]
        return (
            factors * self.scale**0.5,
            weight.linear.view(self.shape.n_columns, *size)[:, number],
            (self.bias + self.offsets[number]).detach(),
            self.noise[number],
        )

    def numbers_per_row(self, n_slots: int) -> int:
        return 3 * self.table.n_linear

    def sample_scores(self, lookup: SampleLookup) -> Tensor:
        """Compute the scores of the samples, (B, S, n_outputs)."""
        sums = lookup.linear + self.scale * lookup.pairs
        return sums.view(-1, *self.offsets.shape) + self.offsets + self.bias

    def forward(self, lookup: SampleLookup) -> Tensor:
        """Compute raw scores of shape (B, n_outputs)."""
        scores = self.sample_scores(lookup)
        if self.link == "identity":
            return scores.mean(dim=1)
        log_count = float(np.log(self.shape.n_samples))
        if self.link == "logit":
            positive = torch.logsumexp(-F.softplus(-scores), dim=1)
            return positive - torch.logsumexp(-F.softplus(scores), dim=1)
        return torch.logsumexp(scores.log_softmax(dim=2), dim=1) - log_count

    @property
    def fuses_scores(self) -> bool:
        return self.link != "softmax" and self.table.backend.fuses_scores

    def fused_scores(self, batch: Batch, n_threads: int = 1) -> np.ndarray:
        table = self.table
        scores: np.ndarray = table.backend.score_samples(
            table,
            (self.offsets + self.bias).detach(),
            batch,
            scale=self.scale,
            logit=self.link == "logit",
            n_threads=n_threads,
        )
        return scores

    def pair_terms(self, entries: Entries) -> Tensor:
        """Compute the posterior mean of each pair's term in the scores, (B, P, C)."""
        products = entries.products()
        k = products.shape[2] // self.offsets.numel()
        size = *products.shape[:2], *self.offsets.shape, k
        total: Tensor = products.view(size).sum(dim=(2, 4))
        return total * (self.scale / self.shape.n_samples)

    def pair_weights(self, first: int, second: int) -> Tensor:
        """Return the weights of the products of two columns' factors, (S C k, C)."""
        n_samples, n_outputs = self.offsets.shape
        each = torch.eye(n_outputs).repeat_interleave(self.model_factors, dim=0)
        return each.repeat(n_samples, 1).to(self.bias) * (self.scale / n_samples)

    def apart(self) -> PosteriorNetwork:
        """Return the samples as S C outputs of one network, which shares the table."""
        shape = replace(self.shape, n_outputs=self.offsets.numel(), n_samples=1)
        network = PosteriorNetwork.build(shape, link="identity")
        network.table, network.scale = self.table, self.scale
        with torch.no_grad():
            network.bias.copy_((self.offsets + self.bias).view(-1))
        network.eval()
        return network

    @classmethod
    def of(cls, samples: Samples) -> PosteriorNetwork:
        """Build a network that shares the arrays of the columns with samples."""
        network = cls.build(samples.shape, link=samples.link)
        network.table.adopt({"factors": samples.factors, "linear": samples.linear})
        network.load_dense(
            {name: getattr(samples, name) for name in ("bias", "offsets", "noise")}
        )
        network.eval()
        return network
