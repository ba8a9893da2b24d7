"""Conversion of Pipelines to ONNX by skl2onnx."""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from ..runtime.attributes import snapshot
from .estimators import import_onnx, model_bytes
from .tracing import OPSET


def pipeline_model(pipeline: Pipeline, X: Any) -> bytes:
    """Return the serialised ONNX model of a Pipeline that ends in an skfm estimator."""
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            'to_onnx of a Pipeline needs skl2onnx: pip install "skfm[onnx]".'
        ) from error
    *others, (name, last) = pipeline.steps
    model = snapshot(last)
    register(type(model))
    # skl2onnx knows Pipeline, but not its subclasses.
    plain = Pipeline([*others, (name, model)])
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else {}
    # By default, the second output of a classifier is named "probabilities".
    names = None
    if options and not hasattr(model, "predict_proba"):
        names = [("label", None), ("scores", None)]
    graph = skl2onnx.to_onnx(
        plain, X[:1], options=options, target_opset=OPSET, final_types=names
    )
    raw: bytes = graph.SerializeToString()
    return raw


def register(cls: type) -> None:
    """Register the converter of a class of estimators of this package in skl2onnx."""
    from skl2onnx import update_registered_converter

    options = {
        "zipmap": [True, False],
        "nocl": [True, False],
        "output_class_labels": [False],
    }
    update_registered_converter(
        cls,
        f"Skfm{cls.__name__}",
        _infer_shapes,
        _convert,
        options=options if issubclass(cls, ClassifierMixin) else None,
        overwrite=True,
    )


def _infer_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import (
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    model = operator.raw_operator
    n_outputs = model.network_.shape.n_outputs
    outputs = operator.outputs
    if hasattr(model, "classes_"):
        text = model.classes_.dtype.kind in "OU"
        outputs[0].type = (StringTensorType if text else Int64TensorType)([None])
        n_columns = model._make_loss().link.n_columns(n_outputs)
        outputs[1].type = FloatTensorType([None, n_columns])
    else:
        outputs[0].type = FloatTensorType([None, n_outputs])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the graph of the estimator to that of the Pipeline, under new names."""
    onnx = import_onnx()
    graph = onnx.load_from_string(model_bytes(operator.raw_operator, dense=True)).graph
    names: dict[str, str] = {"": ""}

    def renamed(name: str) -> str:
        if name not in names:
            names[name] = scope.get_unique_variable_name(f"skfm_{name}")
        return names[name]

    container.add_node(
        "Cast",
        operator.inputs[0].full_name,
        renamed("X"),
        to=onnx.TensorProto.FLOAT,
        name=scope.get_unique_operator_name("skfm_cast"),
    )
    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name)
        container.initializers.append(tensor)
    for node in graph.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
        node.name = scope.get_unique_operator_name("skfm_node")
        container.nodes.append(node)
    for own, theirs in zip(graph.output, operator.outputs, strict=True):
        container.add_node(
            "Identity",
            renamed(own.name),
            theirs.full_name,
            name=scope.get_unique_operator_name("skfm_output"),
        )


__all__ = ["pipeline_model", "register"]
