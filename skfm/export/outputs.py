"""Graph nodes from raw scores to labels, probabilities and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .nodes import Nodes


def add_outputs(model: Any, estimator: Any) -> None:
    """Replace the output ``scores`` of a model by the predictions of the estimator."""
    nodes = Nodes(model.graph)
    del nodes.graph.output[:]
    n_outputs = estimator.network_.shape.n_outputs
    if hasattr(estimator, "classes_"):
        _add_classes(nodes, estimator, n_outputs)
        return
    if not hasattr(estimator, "y_scale_"):
        nodes.output("scores", np.dtype(np.float32), n_outputs)
        return
    predictions = estimator._make_loss().link.onnx(nodes, "scores")
    scale = nodes.constant("y_scale", estimator.y_scale_.astype(np.float32))
    shift = nodes.constant("y_mean", estimator.y_mean_.astype(np.float32))
    nodes.node("Mul", [predictions, scale], "scaled")
    nodes.node("Add", ["scaled", shift], "variable")
    nodes.output("variable", np.dtype(np.float32), n_outputs)


def _add_classes(nodes: Nodes, estimator: Any, n_outputs: int) -> None:
    zero = nodes.constant("zero", np.zeros(1, np.float32))
    exclusive = not estimator._multilabel
    if n_outputs > 1 and exclusive:
        chosen = nodes.node("ArgMax", ["scores"], "chosen", axis=1, keepdims=0)
    else:
        nodes.node("Greater", ["scores", zero], "positive")
        chosen = nodes.node("Cast", ["positive"], "chosen", to=7)  # int64
    if exclusive:
        if n_outputs == 1:
            axis = nodes.constant("axis", np.array([1]))
            chosen = nodes.node("Squeeze", [chosen, axis], "chosen_one")
        classes = _label_array(estimator.classes_)
        labels = nodes.constant("classes", classes)
        nodes.node("Gather", [labels, chosen], "label")
        nodes.output("label", classes.dtype)
    else:
        nodes.node("Identity", [chosen], "label")
        nodes.output("label", np.dtype(np.int64), n_outputs)
    link = estimator._make_loss().link
    if not link.gives_probabilities:
        nodes.output("scores", np.dtype(np.float32), n_outputs)
        return
    nodes.node("Identity", [link.onnx(nodes, "scores")], "probabilities")
    nodes.output("probabilities", np.dtype(np.float32), link.n_columns(n_outputs))


def _label_array(classes: np.ndarray) -> np.ndarray:
    """Convert labels to a type that every runtime supports."""
    if classes.dtype.kind in "bi":
        return classes.astype(np.int64)
    if classes.dtype.kind == "u":
        return classes.astype(np.int64 if classes.max() < 2**63 else np.uint64)
    if classes.dtype.kind == "f":
        return classes.astype(np.float32)
    return classes.astype(str).astype(object)
