"""Field-aware factorization machine."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .._sklearn import Interval
from ..data.batch import Batch
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import (
    InteractionHead,
    field_aware_entry_products,
    field_aware_products,
)
from ..nn.pairwise import Entries, PairwiseNetwork
from ..nn.shape import Shape
from ..sparse import EntryLookup, SlotLookup


class FFMNetwork(PairwiseNetwork[SlotLookup]):
    """Network of FFM: w0 + sum w_i x_i + sum_{f<g} <C_fg, C_gf>.

    C_fg is the sum of x_i v_ig over the columns i of field f.
    """

    lookup = "by_field"
    needs_fields = True
    fields: Tensor

    def __init__(
        self, shape: Shape, *, normalize: bool, intra_field_pairs: bool
    ) -> None:
        if intra_field_pairs:
            self.lookup = "by_nonzero"
        super().__init__(shape)
        self.normalize, self.intra_field_pairs = normalize, intra_field_pairs
        self.head = InteractionHead(shape.n_factors, shape.n_outputs)
        fields = torch.from_numpy(np.asarray(shape.fields, np.int64))
        self.register_buffer("fields", fields, persistent=False)

    @classmethod
    def embedding_width(cls, shape: Shape) -> int:
        return shape.n_fields * shape.n_factors

    @property
    def factors(self) -> Tensor:
        """Embeddings of the columns, one for each field: (n_columns, F, k)."""
        return super().factors.unflatten(1, (self.shape.n_fields, -1))

    def prepare(self, batch: Batch) -> Batch:
        return batch.of_unit_length(self.table.numpy_dtype) if self.normalize else batch

    def scale_values(self, values: Tensor) -> Tensor:
        if not self.normalize:
            return values
        norm = values.square().sum(dim=1, keepdim=True).sqrt()
        return values / torch.where(norm > 0, norm, 1)

    @classmethod
    def held_per_row(cls, shape: Shape, options: dict[str, Any], longest: int) -> int:
        held = super().held_per_row(shape, options, longest)
        if not options["intra_field_pairs"]:
            return held
        # An entry, not a field, is a slot.
        return held // shape.n_fields * longest

    def numbers_per_row(self, n_slots: int) -> int:
        return max(n_slots, self.shape.n_fields) * self.table.n_factors

    def work_per_row(self) -> float:
        return float(self.shape.n_fields * self.table.n_factors)

    def interaction(self, lookup: SlotLookup) -> Tensor:
        pair = (self.shape.n_fields, self.shape.n_factors)
        slots = lookup.slots.unflatten(2, pair)  # (B, F or m, F, k)
        if self.intra_field_pairs:
            assert isinstance(lookup, EntryLookup)
            fields = self.fields[lookup.columns]
            pairs = field_aware_entry_products(slots, fields, lookup.lengths)
        else:
            pairs = field_aware_products(slots)
        scores: Tensor = self.head(pairs)
        return scores

    def cross_vectors(self, lookup: SlotLookup) -> tuple[Tensor, Tensor] | None:
        if self.shape.n_outputs > 1 or self.intra_field_pairs:
            return None
        pair = (self.shape.n_fields, self.shape.n_factors)
        slots = lookup.slots.unflatten(2, pair)  # (B, F, F, k)
        between = ~torch.eye(self.shape.n_fields, dtype=torch.bool, device=slots.device)
        mirrored = slots.transpose(1, 2) * between[..., None]
        return mirrored.flatten(1), slots.flatten(1)

    def pair_terms(self, entries: Entries) -> Tensor:
        assert self.shape.fields is not None
        pair = (self.shape.n_fields, self.shape.n_factors)
        embeddings = entries.embeddings.unflatten(2, pair)  # (B, m, F, k)
        first, second = entries.pairs()
        own, other = entries.fields_of_pairs(self.shape.fields)
        rows = torch.arange(len(own), device=own.device)[:, None]
        # Multiply the embedding of each entry for the field of the other.
        products = embeddings[rows, first, other] * embeddings[rows, second, own]
        if not self.intra_field_pairs:
            products = products * (own != other)[..., None]
        terms: Tensor = self.head(products)
        return terms

    def pair_weights(self, first: int, second: int) -> Tensor:
        return self.head.weights() * (self.intra_field_pairs or first != second)


class _FFM(BaseModel):
    n_factors: int = param(
        default=8,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Length k of each embedding. A column has an embedding for each field.""",
    )
    normalize: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether each row is scaled to unit length, as libffm does by default. The
            linear part reads the scaled row too.""",
    )
    intra_field_pairs: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether two values of the same field interact, by the embeddings that their
            columns have for their own field. This matters only if a field may hold
            several values in a row, and takes more time and memory.""",
    )

    _references_doc: ClassVar[str] = """
        Y. Juan, Y. Zhuang, W.-S. Chin and C.-J. Lin, "Field-aware Factorization
        Machines for CTR Prediction", RecSys 2016.
        """

    _network_class = FFMNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return {
            "normalize": self.normalize,
            "intra_field_pairs": self.intra_field_pairs,
        }


class FFMClassifier(Classifier, _FFM):
    """Field-aware factorization machine classifier.

    Each column has an embedding for each field. The weight of a pair of columns is the
    inner product of the embedding of each column for the field of the other (Juan et
    al., RecSys 2016, equation 3, plus a linear part)::

        f(x) = w0 + sum_i w_i x_i + sum_{i<j} <v_i,f(j), v_j,f(i)> x_i x_j

    Scores are computed field by field, in O(non-zeros x F k + F^2 k). A column has F k
    weights, so that the model is for data with few fields. It needs fields, which are
    inferred from one-hot blocks or given by ``fields``. With more than two classes,
    each class has a weight for each of the k factors.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FwFMClassifier : Has one embedding per column and a weight per pair of fields.
    FMClassifier : Has one embedding per column; needs no fields.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FFMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), FFMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    >>> model[-1].factors_.shape
    (4, 2, 8)
    """


class FFMRegressor(Regressor, _FFM):
    """Field-aware factorization machine regressor.

    See `FFMClassifier` for the model.

    {sections}
    """


class FFMRanker(Ranker, _FFM):
    """Field-aware factorization machine ranker.

    See `FFMClassifier` for the model.

    {sections}
    """
