"""FinalMLP."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

from torch import Tensor, nn

from .._sklearn import Interval, StrOptions
from ..estimators.base import BaseModel
from ..estimators.checks import check_layer_sizes
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import MLP, BilinearFusion, FeatureGate
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class FinalMLPNetwork(Network[FieldLookup]):
    """Network of FinalMLP: two MLPs on gated embeddings, and a bilinear fusion."""

    lookup = "by_field"
    needs_fields = True
    has_linear = False

    def __init__(
        self,
        shape: Shape,
        *,
        hidden_layer_sizes: Sequence[int],
        hidden_layer_sizes_2: Sequence[int],
        n_heads: int,
        gate: str | None,
        **mlp: Any,
    ) -> None:
        super().__init__(shape)
        size = shape.n_fields * shape.n_factors

        def make_gate() -> nn.Module:
            return nn.Identity() if gate is None else FeatureGate(size, gate)

        def make_mlp(sizes: Sequence[int]) -> MLP:
            return MLP(size, sizes, shape.n_outputs, bias=False, **mlp)

        self.first_gate, self.second_gate = make_gate(), make_gate()
        self.first = make_mlp(hidden_layer_sizes)
        self.second = make_mlp(hidden_layer_sizes_2)
        widths = self.first.output.in_features, self.second.output.in_features
        self.bilinear = BilinearFusion(*widths, shape.n_outputs, n_heads)

    def numbers_per_row(self, n_slots: int) -> int:
        # Gates and gated embeddings of both streams, and their gradients.
        return 8 * n_slots * self.shape.n_factors

    def interaction(self, lookup: FieldLookup) -> Tensor:
        embeddings = lookup.slots.flatten(start_dim=1)  # (B, F k)
        first = self.first.hidden(self.first_gate(embeddings))  # o1
        second = self.second.hidden(self.second_gate(embeddings))  # o2
        fused: Tensor = self.bilinear(first, second)
        return fused + self.first.output(first) + self.second.output(second)


class _FinalMLP(MLPParameters, BaseModel):
    hidden_layer_sizes_2: Any = param(
        default=None,
        valid=["array-like", Interval(Integral, 1, None, closed="left"), None],
        doc="""tuple of int, int, or None
            Number of units of each hidden layer of the second stream. None means the
            sizes of the first stream, ``hidden_layer_sizes``.""",
    )
    n_heads: int = param(
        default=4,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Number of heads of the bilinear fusion. It must divide the last hidden size
            of both streams (without hidden layers: fields x ``n_factors``).""",
    )
    gate: str | None = param(
        default="constant",
        valid=[StrOptions({"constant", "fields"}), None],
        doc="""{"constant", "fields"} or None
            Input of the gates on each stream's embeddings: a learned vector, so that
            all rows have the same gates, or all embeddings of the row. None means no
            gates.""",
    )

    _references_doc: ClassVar[str] = """
        K. Mao, J. Zhu, L. Su, G. Cai, Y. Li and Z. Dong, "FinalMLP: An Enhanced
        Two-Stream MLP Model for CTR Prediction", AAAI 2023, arXiv:2304.00902.
        """

    _network_class = FinalMLPNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        options = self._mlp_options(full_batch)
        second = options["hidden_layer_sizes"]
        if self.hidden_layer_sizes_2 is not None:
            second = check_layer_sizes(
                "hidden_layer_sizes_2", self.hidden_layer_sizes_2
            )
        return {
            "hidden_layer_sizes_2": second,
            "n_heads": self.n_heads,
            "gate": self.gate,
            **options,
        }


class FinalMLPClassifier(Classifier, _FinalMLP):
    """FinalMLP classifier: two gated MLPs and a bilinear form of both.

    Let e be the embeddings [e_1, ..., e_F], where e_f is the sum of ``x_i v_i`` over
    the columns of field f. The two streams s = 1, 2 multiply the elements of e by gates
    of their own before their hidden layers (Mao et al., AAAI 2023)::

        o_s = hidden layers_s(2 sigmoid(MLP_s(context)) * e)
        f(x) = w0 + w_1^T o_1 + w_2^T o_2 + sum over heads h of o_1h^T W_h o_2h

    In the paper, the context is made of fields that are chosen by hand. Here it is a
    learned vector, which the authors use if no field is chosen, or all of e with
    ``gate="fields"``. There is no linear part. The model needs fields, which are
    inferred from one-hot blocks or given by ``fields``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DeepFMClassifier : Has one MLP beside a factorization machine.
    DCNClassifier : Has an MLP beside explicit crosses.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FinalMLPClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), FinalMLPClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class FinalMLPRegressor(Regressor, _FinalMLP):
    """FinalMLP regressor: two gated MLPs and a bilinear form of both.

    See `FinalMLPClassifier` for the model.

    {sections}
    """


class FinalMLPRanker(Ranker, _FinalMLP):
    """FinalMLP ranker: two gated MLPs and a bilinear form of both.

    See `FinalMLPClassifier` for the model.

    {sections}
    """
