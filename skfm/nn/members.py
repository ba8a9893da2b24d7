"""Several networks of one architecture as one, whose score is the mean of theirs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.batch import Batch
from ..sparse import Lookup
from .network import Network
from .pairwise import Entries, PairwiseNetwork
from .shape import Shape
from .weights import NetworkWeights, rebuild


class MemberNetwork(Network[Lookup]):
    """Mean score of M networks, the members.

    A column of the table holds the numbers of all members side by side, so that rows
    are looked up once. The dense weights are those of the members, whose own tables are
    views of this one.

    Parameters
    ----------
    shape : Shape
        Sizes of a member, and the number M of members.
    options : dict
        Further arguments of the architecture.
    """

    #: The architecture.
    member_class: ClassVar[type[Network]]

    def __init__(self, shape: Shape, **options: Any) -> None:
        nn.Module.__init__(self)
        own = replace(shape, n_members=1)
        parts = [self.member_class(own, **options) for _ in range(shape.n_members)]
        # Members may pool squares over all factors, but not those of other members.
        self.lookup = parts[0].lookup.removesuffix("_total")
        self._make_table(shape)
        self.networks = nn.ModuleList(parts)
        self.without_linear = parts[0].without_linear
        self.without_factors = parts[0].without_factors
        self._share_table()

    @classmethod
    def linear_width(cls, shape: Shape) -> int:
        return shape.n_members * cls.member_class.linear_width(shape)

    @classmethod
    def embedding_width(cls, shape: Shape) -> int:
        return shape.n_members * cls.member_class.embedding_width(shape)

    def _share_table(self) -> None:
        """Make the members' tables views of the table."""
        for number, member in enumerate(self.members):
            member.table.share(self.table, number, self.shape.n_members)

    @property
    def members(self) -> list[Network]:
        return list(self.networks)  # type: ignore[arg-type]

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        return self._mean([member.bias for member in self.members])

    @property
    def linear_weights(self) -> Tensor | None:
        weights = [member.linear_weights for member in self.members]
        known = [part for part in weights if part is not None]
        return self._mean(known) if known else None

    @property
    def factors(self) -> Tensor:
        """Factors of all members side by side, divided by the root of their number.

        The inner product of those of two columns is the mean of the members' inner
        products.
        """
        parts = [member.factors for member in self.members]
        return torch.cat(parts, dim=-1) / self.shape.n_members**0.5

    def _mean(self, parts: Sequence[Tensor]) -> Tensor:
        # One after the other, as many as there are.
        return functools.reduce(torch.add, parts) / len(parts)

    def _each(self, lookup: Lookup) -> list[tuple[Any, Lookup]]:
        n = self.shape.n_members
        return [(part, lookup.share(i, n)) for i, part in enumerate(self.members)]

    def interaction(self, lookup: Lookup) -> Tensor:
        return self._mean([part.interaction(own) for part, own in self._each(lookup)])

    def forward(self, lookup: Lookup) -> Tensor:
        """Compute raw scores of shape (B, n_outputs)."""
        return self._mean([part(own) for part, own in self._each(lookup)])

    def cross_vectors(self, lookup: Lookup) -> tuple[Tensor, Tensor] | None:
        found = [part.cross_vectors(own) for part, own in self._each(lookup)]
        if found[0] is None:
            return None
        left, right = (torch.cat(side, dim=1) for side in zip(*found, strict=True))
        return left / self.shape.n_members, right

    def prepare(self, batch: Batch) -> Batch:
        return self.members[0].prepare(batch)

    def scale_values(self, values: Tensor) -> Tensor:
        return self.members[0].scale_values(values)

    def check_memory(self, longest: int) -> None:
        self.members[0].check_memory(longest)

    def numbers_per_row(self, n_slots: int) -> int:
        return self.members[0].numbers_per_row(n_slots)

    def load_dense(self, arrays: dict[str, np.ndarray]) -> None:
        super().load_dense(arrays)
        # The table may be another by now.
        self._share_table()

    def member(self, number: int) -> Network:
        """Return a copy of one member."""
        config = {**self.config, "shape": replace(self.shape, n_members=1)}
        network, own = self.member_class.build(**config), self.members[number]
        given = own.tensors()
        for name, copied in network.tensors().items():
            copied.copy_(given[name])
        network.eval()
        return network

    @classmethod
    def of_members(cls, networks: Sequence[Network]) -> MemberNetwork:
        """Build a network from copies of trained ones."""
        config = dict(networks[0].config)
        config["shape"] = replace(config["shape"], n_members=len(networks))
        network = cls.build(**config)
        for own, given in zip(network.members, networks, strict=True):
            parts = given.tensors()
            for name, copied in own.tensors().items():
                copied.copy_(parts[name])
        network.eval()
        return network

    def __reduce__(self) -> tuple[Any, ...]:
        args = self.member_class, self._config_on("cpu"), self.arrays()
        return _rebuild_members, args


class PairwiseMembers(MemberNetwork, PairwiseNetwork[Lookup]):
    """Members whose interaction is a sum over pairs of entries."""

    @property
    def fuses_scores(self) -> bool:
        return self.members[0].fuses_scores

    def fused_scores(self, batch: Batch, n_threads: int = 1) -> np.ndarray:
        # Factorization machines, whose numbers lie in the table as those of samples do.
        table = self.table
        biases = torch.stack([member.bias for member in self.members]).detach()
        scores: np.ndarray = table.backend.score_samples(
            table, biases, batch, scale=1.0, logit=False, n_threads=n_threads
        )
        return scores

    def pair_terms(self, entries: Entries) -> Tensor:
        n, parts = self.shape.n_members, enumerate(self.members)
        return self._mean([m.pair_terms(entries.share(i, n)) for i, m in parts])  # type: ignore[operator]

    def pair_weights(self, first: int, second: int) -> Tensor | None:
        """Return the weights of the products of all members' factors, (M k, C)."""
        found = [m.pair_weights(first, second) for m in self.members]  # type: ignore[operator]
        return None if found[0] is None else torch.cat(found)


_CLASSES: dict[Any, type[MemberNetwork]] = {}


def members_of(network_class: type[Network]) -> type[MemberNetwork]:
    """Return the class of networks whose members are of a class."""
    if network_class not in _CLASSES:
        pairwise = issubclass(network_class, PairwiseNetwork)
        base = PairwiseMembers if pairwise else MemberNetwork
        names = ("needs_fields", "has_linear", "shares_pair_weights")
        inherited = {name: getattr(network_class, name) for name in names}
        _CLASSES[network_class] = type(
            f"{network_class.__name__}Members",
            (base,),
            {"member_class": network_class, **inherited},
        )
    return _CLASSES[network_class]


def join_members(networks: Sequence[Network]) -> Network:
    """Return a network with the mean score of some, or the only one itself."""
    if len(networks) == 1:
        return networks[0]
    return members_of(type(networks[0])).of_members(networks)


def _rebuild_members(member_class: type[Network], *args: Any) -> NetworkWeights:
    return rebuild(members_of(member_class), *args)
