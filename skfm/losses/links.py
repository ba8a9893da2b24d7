"""Links from raw scores to predictions, in NumPy, torch and ONNX.

The NumPy form is for predictions in float64, the torch form for computations on a
device and the ONNX form for exported graphs. Tests check that the three agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from scipy.special import expit, softmax

from ..runtime.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Probabilities stay this far from 0 and 1, so that a log loss is finite.
PROBABILITY_FLOOR = float(np.finfo(np.float64).eps)


class Graph(Protocol):
    """An ONNX graph under construction, which refers to values by their names."""

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""


class Link:
    """The identity, and the base class of all links.

    Attributes
    ----------
    name : str
        Name of the function from predictions to raw scores.
    gives_probabilities : bool
        Whether predictions are probabilities of classes or labels.
    """

    name: ClassVar[str] = "identity"
    gives_probabilities: ClassVar[bool] = False

    def n_columns(self, n_outputs: int) -> int:
        """Return the number of predictions per row for ``n_outputs`` scores."""
        return n_outputs

    def numpy(self, scores: np.ndarray) -> np.ndarray:
        """Turn float64 scores (n, C) into predictions."""
        return scores

    def torch(self, scores: Tensor) -> Tensor:
        """Turn scores (n, C) into predictions by differentiable operations."""
        return scores

    def onnx(self, graph: Graph, scores: str) -> str:
        """Add the link's nodes to a graph and return the name of the predictions."""
        return scores


class LogLink(Link):
    """Log link exp(s): the raw score is the logarithm of the prediction."""

    name: ClassVar[str] = "log"

    def numpy(self, scores: np.ndarray) -> np.ndarray:
        predictions: np.ndarray = np.exp(scores)
        return predictions

    def torch(self, scores: Tensor) -> Tensor:
        return scores.exp()

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.node("Exp", [scores], "exponential")


class LogitLink(Link):
    """Logistic link 1 / (1 + exp(-s)) of each label."""

    name: ClassVar[str] = "logit"
    gives_probabilities: ClassVar[bool] = True

    def numpy(self, scores: np.ndarray) -> np.ndarray:
        return clip_probability(expit(scores))

    def torch(self, scores: Tensor) -> Tensor:
        return scores.sigmoid().clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.node("Sigmoid", [scores], "sigmoid")


class BinaryLogitLink(LogitLink):
    """Logistic link from the score of the second class to both probabilities."""

    name: ClassVar[str] = "binary_logit"

    def n_columns(self, n_outputs: int) -> int:
        return 2

    def numpy(self, scores: np.ndarray) -> np.ndarray:
        positive = super().numpy(scores[:, 0])
        proba = np.empty((len(positive), 2), positive.dtype)
        proba[:, 0], proba[:, 1] = 1 - positive, positive
        return proba

    def torch(self, scores: Tensor) -> Tensor:
        positive = super().torch(scores)
        return torch.cat([1 - positive, positive], dim=1)

    def onnx(self, graph: Graph, scores: str) -> str:
        # In float32, 1 - sigmoid(s) would lose the digits of small probabilities.
        graph.node("Neg", [scores], "negated")
        graph.node("Sigmoid", ["negated"], "first_class")
        graph.node("Sigmoid", [scores], "second_class")
        return graph.node("Concat", ["first_class", "second_class"], "both", axis=1)


class SoftmaxLink(Link):
    """Softmax link exp(s_c) / sum_d exp(s_d) of classes that exclude each other."""

    name: ClassVar[str] = "softmax"
    gives_probabilities: ClassVar[bool] = True

    def numpy(self, scores: np.ndarray) -> np.ndarray:
        p = np.maximum(softmax(scores, axis=1), PROBABILITY_FLOOR)
        normed: np.ndarray = p / p.sum(axis=1, keepdims=True)
        return normed

    def torch(self, scores: Tensor) -> Tensor:
        p = scores.softmax(dim=1).clamp(min=PROBABILITY_FLOOR)
        return p / p.sum(dim=1, keepdim=True)

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.node("Softmax", [scores], "softmax", axis=1)


def clip_probability(probability: np.ndarray) -> np.ndarray:
    """Clip probabilities to `PROBABILITY_FLOOR` away from 0 and 1."""
    # np.clip takes five times as long for a single row.
    above = np.maximum(probability, PROBABILITY_FLOOR)
    clipped: np.ndarray = np.minimum(above, 1 - PROBABILITY_FLOOR)
    return clipped


IDENTITY, LOG = Link(), LogLink()
LOGIT, BINARY_LOGIT, SOFTMAX = LogitLink(), BinaryLogitLink(), SoftmaxLink()
