"""The encoding of a table as a graph, from an input per column to padded rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..encoding.blocks import ALMOST_ZERO, CLIP, QuantileBlock, ScaleBlock
from ..encoding.categories import CategoryBlock
from ..encoding.codec import TableCodec
from ..encoding.columns import LARGEST_EXACT, Factorized
from ..encoding.flags import FlagBlock
from ..encoding.nested import NestedBlock
from ..encoding.tables import as_table, read_columns
from ..encoding.vectors import VectorBlock
from .nodes import Nodes

__all__ = ["Table", "add_table", "check_table"]

#: Source of the operator LabelEncoder.
_ML = "ai.onnx.ml"
#: Values that stand for a missing cell if the type of an input has none.
MISSING_INTEGER, MISSING_STRING = -(2**63), ""


class Table(NamedTuple):
    """A codec, and a row or more of the tables that it encodes."""

    codec: TableCodec
    X: Any


class Entries(NamedTuple):
    """Entries of a column of the table: columns of its block and values, (rows, n)."""

    columns: str
    values: str


def check_table(codec: TableCodec) -> None:
    """Refuse a table whose encoding has no graph.

    Raises
    ------
    ValueError
        With the column, and what to do.
    """
    if codec.crosses.items:
        name = codec.crosses.names(codec.blocks)[0]
        raise ValueError(
            f"The cross {name!r} cannot be exported to ONNX. Fit the model with "
            "crosses=None, or export it without X and encode rows yourself."
        )
    for block in codec.blocks:
        trouble = _trouble(block)
        if trouble:
            raise ValueError(
                f"Column {block.name!r} cannot be exported to ONNX: {trouble}. Convert "
                "it before fit, or export the model without X and encode rows yourself."
            )


def _trouble(block: Any) -> str | None:
    """Return why a block has no graph, or None."""
    if isinstance(block, NestedBlock) and block.id_field is not None:
        known = np.abs(block.id_field.vocabulary.astype(np.float64))
        large = len(known) and known.max() > LARGEST_EXACT
        return "it holds ids beyond 2**53" if large else None
    if isinstance(block, CategoryBlock):
        if block.kind in ("nothing", "strings", "booleans"):
            return None
        whole = block.kind == "numbers" and block.vocabulary.dtype.kind == "i"
        return None if whole else f"its categories are {_described(block)}"
    known_kinds = ScaleBlock | QuantileBlock | NestedBlock | FlagBlock | VectorBlock
    if isinstance(block, known_kinds):
        return None
    kinds = {
        "DateBlock": "it holds dates",
        "HashBlock": "its categories are hashed",
        "MultiValuedBlock": "its cells hold several values",
    }
    return kinds.get(type(block).__name__, "its encoding has no graph")


def _described(block: CategoryBlock) -> str:
    dtype = block.vocabulary.dtype
    if dtype.kind == "u":
        return "integers beyond 2**63"
    return "floats" if dtype.kind == "f" else block.kind


def add_table(model: Any, codec: TableCodec, X: Any) -> None:
    """Put the encoding of a table in front of a graph that reads padded rows.

    Parameters
    ----------
    model : ModelProto
        With the inputs ``columns`` and ``values``, which the graph makes from an input
        for each column of the table.
    codec : TableCodec
    X : DataFrame or array-like
        A row or more of the table; integers are read as such, or as floats among which
        NaN is missing.
    """
    graph = model.graph
    later = list(graph.node)
    del graph.node[:], graph.input[:]
    nodes = Nodes(graph)
    series = read_columns(as_table(X))
    columns = zip(codec.blocks, series, codec.starts, strict=False)
    each = [_shifted(nodes, _entries(nodes, *own), start) for *own, start in columns]
    parts = [
        each[group[0]] if len(group) == 1 else _added(nodes, [each[j] for j in group])
        for group in codec.shared.parts(len(each))
    ]
    for name, tensors in zip(
        ("columns", "values"), zip(*parts, strict=True), strict=True
    ):
        nodes.node("Concat", list(tensors), name, axis=1)
    graph.node.extend(later)
    _import_ml(model)


def _import_ml(model: Any) -> None:
    import onnx

    if all(imported.domain != _ML for imported in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(_ML, 2))


def _shifted(nodes: Nodes, entries: Entries, start: int) -> Entries:
    if not start:
        return entries
    columns = nodes.apply("Add", entries.columns, np.array(start, np.int64))
    return entries._replace(columns=columns)


def _added(nodes: Nodes, parts: Sequence[Entries]) -> Entries:
    """Add the entries of one that each of several columns has, where they are equal.

    The value of the first of equal ones is their number, and that of others is zero.
    """
    columns = nodes.apply("Concat", *(part.columns for part in parts), axis=1)
    last, middle = np.array([2], np.int64), np.array([1], np.int64)
    equal = nodes.apply(
        "Equal",
        nodes.apply("Unsqueeze", columns, last),
        nodes.apply("Unsqueeze", columns, middle),
    )
    equal = nodes.cast(equal, np.float32)
    earlier = np.tri(len(parts), k=-1, dtype=np.float32)[None]
    before = nodes.apply("Mul", equal, earlier)
    before = nodes.apply("ReduceSum", before, last, keepdims=0)
    is_first = nodes.cast(
        nodes.apply("Equal", before, np.array(0, np.float32)), np.float32
    )
    counts = nodes.apply("ReduceSum", equal, last, keepdims=0)
    return Entries(columns, nodes.apply("Mul", counts, is_first))


def _entries(nodes: Nodes, block: Any, cells: pd.Series) -> Entries:
    """Add an input for a column and the nodes that encode it."""
    name = str(block.name)
    if isinstance(block, FlagBlock):
        given = nodes.input(name, np.bool_, 1)
        value = nodes.cast(given, np.float32)
        return _constant_columns(nodes, [0], value)
    if isinstance(block, VectorBlock):
        return _vector(nodes, block, name)
    if isinstance(block, CategoryBlock):
        return _ones(
            nodes, _category(nodes, block, _category_input(nodes, block, cells))
        )
    whole = getattr(cells.dtype, "kind", "O") in "iu"
    given = nodes.input(name, np.int64 if whole else np.float64, 1)
    numbers = nodes.cast(given, np.float64) if whole else given
    return _number(nodes, block, numbers)


def _category_input(nodes: Nodes, block: CategoryBlock, cells: pd.Series) -> str:
    name = str(block.name)
    if block.kind == "strings":
        return nodes.input(name, np.object_, 1)
    if block.kind == "booleans":
        return nodes.cast(nodes.input(name, np.bool_, 1), np.int64)
    if getattr(cells.dtype, "kind", "O") == "f":
        return _exact(nodes, nodes.input(name, np.float64, 1))
    return nodes.input(name, np.int64, 1)


def _exact(nodes: Nodes, numbers: str) -> str:
    """Convert floats to integers: NaN to missing, and fractions to one unknown."""
    whole = nodes.apply("Equal", nodes.apply("Floor", numbers), numbers)
    missing = nodes.apply("IsNaN", numbers)
    safe = nodes.apply("Where", whole, numbers, np.array(0.0))
    integers = nodes.cast(safe, np.int64)
    unknown = np.array(MISSING_INTEGER + 1)
    integers = nodes.apply("Where", whole, integers, unknown)
    return nodes.apply("Where", missing, np.array(MISSING_INTEGER), integers)


def _category(nodes: Nodes, block: CategoryBlock, given: str) -> str:
    """Look categories up: columns of shape (rows, 1)."""
    vocabulary, text = block.vocabulary, block.kind == "strings"
    codes = np.arange(len(vocabulary))
    columns: list[int] = []
    if len(vocabulary):
        found = block.encode(Factorized(codes, vocabulary, block.kind))
        columns = found.columns.tolist()
    keys: list[Any] = vocabulary.tolist() if text else [int(v) for v in vocabulary]
    missing = MISSING_STRING if text else MISSING_INTEGER
    if missing not in keys:
        keys, columns = [*keys, missing], [*columns, block.width - 1]
    kind = "keys_strings" if text else "keys_int64s"
    return nodes.apply(
        "LabelEncoder",
        given,
        domain=_ML,
        values_int64s=columns,
        default_int64=block.width - 2,
        **{kind: keys},
    )


def _ones(nodes: Nodes, columns: str) -> Entries:
    """Return entries of 1 in these columns."""
    zeros = nodes.apply("Mul", columns, np.array(0, np.int64))
    ones = nodes.cast(nodes.apply("Add", zeros, np.array(1, np.int64)), np.float32)
    return Entries(columns, ones)


def _constant_columns(nodes: Nodes, columns: Sequence[int], *values: str) -> Entries:
    """Return entries whose columns are the same in all rows; values are (rows, 1)."""
    together = values[0] if len(values) == 1 else nodes.apply("Concat", *values, axis=1)
    shape = nodes.apply("Shape", together)
    row = np.array([columns], np.int64)
    return Entries(nodes.apply("Expand", row, shape), together)


def _number(nodes: Nodes, block: Any, numbers: str) -> Entries:
    missing = nodes.apply("IsNaN", numbers)
    if isinstance(block, ScaleBlock):
        value = _scaled(nodes, numbers, block.mean, block.scale)
        value = nodes.apply("Where", missing, np.array(0, np.float32), value)
        return _constant_columns(nodes, [0, 1], value, nodes.cast(missing, np.float32))
    if isinstance(block, QuantileBlock):
        return _ones(nodes, _bins(nodes, block.edges, numbers, missing))
    if block.is_flag:
        filled = nodes.apply("Where", missing, np.array(0.0), numbers)
        value = nodes.cast(filled, np.float32)
        if not block.has_missing:
            return _constant_columns(nodes, [0], value)
        return _constant_columns(nodes, [0, 1], value, nodes.cast(missing, np.float32))
    return _nested(nodes, block, numbers, missing)


def _nested(nodes: Nodes, block: NestedBlock, numbers: str, missing: str) -> Entries:
    scaled = _scaled(nodes, numbers, block.value.mean, block.value.scale, CLIP)
    value = nodes.apply("Where", missing, np.array(ALMOST_ZERO, np.float32), scaled)
    parts, start = [_constant_columns(nodes, [0], value)], 0
    ids = block.id_field
    for part, width in block.field_widths.items():
        if part == "<values>" and ids is not None:
            columns = _category(nodes, ids, _exact(nodes, numbers))
        elif part:
            edges = block.coarse if part == "<coarse>" else block.edges
            columns = _bins(nodes, edges, numbers, missing)
        if part:
            parts.append(_shifted(nodes, _ones(nodes, columns), start))
        start += width
    both = zip(*parts, strict=True)
    return Entries(*(nodes.apply("Concat", *tensors, axis=1) for tensors in both))


def _scaled(
    nodes: Nodes, numbers: str, mean: float, scale: float, limit: float | None = None
) -> str:
    """Standardise, and keep what becomes zero apart from padding."""
    centred = nodes.apply("Sub", numbers, np.array(mean))
    scaled = nodes.apply("Div", centred, np.array(scale))
    if limit is not None:
        scaled = nodes.apply("Clip", scaled, np.array(-limit), np.array(limit))
    zero = nodes.apply("Equal", scaled, np.array(0.0))
    scaled = nodes.apply("Where", zero, np.array(ALMOST_ZERO), scaled)
    return nodes.cast(scaled, np.float32)


def _bins(nodes: Nodes, edges: np.ndarray, numbers: str, missing: str) -> str:
    """Count the edges below each number; missing cells have the last column."""
    last = np.array(len(edges) + 1, np.int64)
    if not len(edges):
        return nodes.apply("Where", missing, last, np.array(0, np.int64))
    above = nodes.cast(nodes.apply("Greater", numbers, edges[None]), np.int64)
    axis = np.array([1], np.int64)
    counted = nodes.apply("ReduceSum", above, axis, keepdims=1)
    return nodes.apply("Where", missing, last, counted)


def _vector(nodes: Nodes, block: VectorBlock, name: str) -> Entries:
    size = len(block.mean)
    given = nodes.input(name, np.float64, size)
    unknown = nodes.cast(nodes.apply("IsNaN", given), np.float32)
    axis = np.array([1], np.int64)
    n_unknown = nodes.apply("ReduceSum", unknown, axis, keepdims=1)
    missing = nodes.apply("Greater", n_unknown, np.array(0, np.float32))
    centred = nodes.apply("Sub", given, block.mean[None])
    scaled = nodes.apply("Div", centred, block.scale[None])
    scaled = nodes.apply("Clip", scaled, np.array(-CLIP), np.array(CLIP))
    zero = nodes.apply("Equal", scaled, np.array(0.0))
    scaled = nodes.apply("Where", zero, np.array(ALMOST_ZERO), scaled)
    scaled = nodes.apply("Where", missing, np.array(0.0), scaled)
    values = [nodes.cast(scaled, np.float32), nodes.cast(missing, np.float32)]
    return _constant_columns(nodes, range(size + 1), *values)
