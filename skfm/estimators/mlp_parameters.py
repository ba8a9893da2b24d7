"""Hyper-parameters of multi-layer perceptrons."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from .._sklearn import Interval, StrOptions
from .checks import check_layer_sizes
from .params import Parametrized, param


class MLPParameters(Parametrized):
    """Parameters of the multi-layer perceptron of a deep model."""

    hidden_layer_sizes: Any = param(
        default=(128, 64),
        valid=["array-like", Interval(Integral, 1, None, closed="left")],
        doc="""tuple of int, or int
            Number of units of each hidden layer.""",
    )
    activation: str = param(
        default="relu",
        valid=[StrOptions({"relu", "tanh", "sigmoid", "gelu", "silu", "identity"})],
        doc="""{"relu", "tanh", "sigmoid", "gelu", "silu", "identity"}
            Activation function of the hidden layers.""",
    )
    dropout: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        doc="""float or "auto"
            Probability of dropping a unit of a hidden layer in training. "auto" is 0.2,
            or 0 if all rows fit into one batch, which keeps the fit of small data exact
            under sample weights.""",
    )
    batch_norm: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether to apply batch normalisation before the activation of each hidden
            layer.""",
    )
    precision: str = param(
        default="full",
        valid=[StrOptions({"full", "bfloat16"})],
        doc="""{"full", "bfloat16"}
            Precision of the hidden layers' matrix products. "bfloat16" keeps 8
            significant bits of each number. For wide layers and large batches, it is up
            to twice as fast on processors that compute with it (Intel from Sapphire
            Rapids on, AMD from Zen 4 on, most GPUs). The weights keep the type given by
            ``dtype``. The option has no effect in float64.""",
    )

    def _mlp_options(self, full_batch: bool) -> dict[str, Any]:
        """Return the keywords of `skfm.nn.layers.MLP`."""
        sizes = check_layer_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        return {
            "hidden_layer_sizes": sizes,
            "activation": self.activation,
            "dropout": auto_dropout(self.dropout, 0.2, full_batch),
            "batch_norm": self.batch_norm,
            "precision": self.precision,
        }


def auto_dropout(asked: float | str, auto: float, full_batch: bool) -> float:
    """Return a dropout rate; "auto" is zero in full-batch training."""
    if not isinstance(asked, str):
        return float(asked)
    return 0.0 if full_batch else auto
