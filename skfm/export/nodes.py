"""A builder of ONNX graphs."""

from __future__ import annotations

from typing import Any

import numpy as np


class Nodes:
    """Adds nodes, constants, inputs and outputs to the graph of an ONNX model.

    Parameters
    ----------
    graph : GraphProto
    """

    def __init__(self, graph: Any) -> None:
        import onnx

        self._onnx, self.graph = onnx, graph
        self._n_names = 0

    def fresh(self, kind: str) -> str:
        """Return a name that the graph does not have yet."""
        self._n_names += 1
        return f"skfm_{kind}_{self._n_names}"

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add an array under a name, and return the name."""
        self.graph.initializer.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add an operation, and return the name of its output."""
        make = self._onnx.helper.make_node
        self.graph.node.append(make(kind, inputs, [output], output, **attributes))
        return output

    def apply(self, kind: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Add an operation on tensors and arrays under a fresh name, and return it."""
        named = [
            self.constant(self.fresh("constant"), part)
            if isinstance(part, np.ndarray)
            else part
            for part in inputs
        ]
        return self.node(kind, named, self.fresh(kind), **attributes)

    def cast(self, tensor: str, dtype: Any) -> str:
        """Convert a tensor."""
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.apply("Cast", tensor, to=kind)

    def input(self, name: str, dtype: Any, *width: int | str) -> str:
        """Add an input of as many rows as there are, and return its name."""
        self.graph.input.append(self._info(name, dtype, *width))
        return name

    def output(self, name: str, dtype: Any, *width: int) -> None:
        """Make a tensor an output."""
        self.graph.output.append(self._info(name, dtype, *width))

    def _info(self, name: str, dtype: Any, *width: int | str) -> Any:
        helper = self._onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, ["rows", *width])
