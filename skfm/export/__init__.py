"""Fitted models as ONNX graphs."""

from .export import to_onnx

__all__ = ["to_onnx"]
