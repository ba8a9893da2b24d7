"""Estimators as their parameters and their fitted attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from ..data.statistics import ColumnStatistics
from ..encoding import FieldEncoder
from ..encoding.blocks import QuantileBlock, ScaleBlock
from ..encoding.categories import CategoryBlock, HashBlock
from ..encoding.codec import TableCodec
from ..encoding.flags import FlagBlock
from ..encoding.multi_valued import MultiValuedBlock
from ..encoding.nested import NestedBlock
from ..estimators.fitted import Fitted
from ..fields.pipeline import FieldPipeline
from .container import FileFormatError, Reader
from .foreign import pack_foreign, unpack_foreign
from .networks import check_fields, pack_network, read_state, unpack_network
from .values import Packer, Unpacker, UnsupportedValueError

#: What scikit-learn keeps on estimators that is no part of the model.
_NOT_SAVED = {
    *("_skl_callbacks", "_callback_fit_ctx"),
    *("_metadata_request", "_sklearn_output_config"),
}
#: What a `FieldEncoder` reads off its codec.
_DERIVED = {
    *("fields_", "field_names_", "columns_"),
    *("categories_", "infrequent_categories_"),
}
_NO_STEP = (None, "passthrough")
_PIPELINES = {cls.__name__: cls for cls in (Pipeline, FieldPipeline)}


def known_classes() -> dict[str, type[BaseEstimator]]:
    """The classes of this package that a file may name."""
    models = {cls.__name__: cls for cls in _leaves(Fitted)}
    return {**models, FieldEncoder.__name__: FieldEncoder}


def _leaves(cls: type) -> Iterator[type]:
    subclasses: list[type] = cls.__subclasses__()
    own = [c for c in subclasses if c.__module__.startswith("skfm.")]
    if not own:
        yield cls
    for subclass in own:
        yield from _leaves(subclass)


def pack_estimator(estimator: Any, packer: Packer) -> dict[str, Any]:
    """JSON of an estimator of this package, a pipeline, or one of scikit-learn."""
    name = type(estimator).__name__
    if _PIPELINES.get(name) is type(estimator):
        return {"pipeline": _pack_pipeline(estimator, packer)}
    if known_classes().get(name) is not type(estimator):
        if isinstance(estimator, Fitted):
            raise UnsupportedValueError(
                f"{type(estimator).__module__}.{name} is not a class of skfm: only "
                "skfm's own can be loaded without running code of the file's."
            )
        return {"foreign": packer.store(pack_foreign(estimator))}
    parameters = estimator.get_params(deep=False)
    if not isinstance(parameters.get("init_from"), str | None):
        # A fitted model that training started from is no part of what it made.
        parameters["init_from"] = None
    skipped = {*parameters, *_NOT_SAVED, "network_"}
    if isinstance(estimator, FieldEncoder):
        skipped |= _DERIVED
    fitted = {
        attribute: _pack_attribute(value, f"{name}.{attribute}", packer)
        for attribute, value in vars(estimator).items()
        if attribute not in skipped
    }
    content = {
        "class": name,
        "parameters": {
            key: packer.pack(value, f"{name}({key}=...)")
            for key, value in parameters.items()
        },
        "fitted": fitted,
    }
    if hasattr(estimator, "network_"):
        content["network"] = pack_network(estimator.network_, packer)
    return {"estimator": content}


def _pack_attribute(value: Any, where: str, packer: Packer) -> Any:
    if isinstance(value, BaseEstimator):
        return pack_estimator(value, packer)
    return packer.pack(value, where)


def _pack_pipeline(pipeline: Pipeline, packer: Packer) -> dict[str, Any]:
    steps = [
        [name, step if step in _NO_STEP else pack_estimator(step, packer)]
        for name, step in pipeline.steps
    ]
    options = {"verbose": pipeline.verbose, "transform_input": pipeline.transform_input}
    return {
        "class": type(pipeline).__name__,
        "steps": steps,
        "options": packer.pack(options, "Pipeline"),
    }


class EstimatorReader:
    """Makes estimators of what `pack_estimator` wrote.

    Parameters
    ----------
    reader : Reader
    map_table : bool
        Whether tables stay in the file, mapped into memory.
    trusted : sequence of str
        Types that skops may load beside scikit-learn's own.
    """

    def __init__(self, reader: Reader, *, map_table: bool, trusted: Any) -> None:
        self._map_table, self._trusted = map_table, trusted
        self._unpacker = Unpacker(
            reader,
            {
                "estimator": self._estimator,
                "pipeline": self._pipeline,
                "foreign": self._foreign,
            },
        )

    def read(self, content: Any) -> Any:
        """The estimator that a document describes."""
        estimator = self._unpacker.unpack(content)
        if not isinstance(estimator, BaseEstimator):
            raise FileFormatError("it holds no estimator")
        return estimator

    def _foreign(self, name: Any) -> Any:
        return unpack_foreign(self._unpacker.stored(name), self._trusted)

    def _pipeline(self, content: Any) -> Pipeline:
        options = self._unpacker.unpack(content["options"])
        steps = [(name, self._unpacker.unpack(step)) for name, step in content["steps"]]
        return _PIPELINES[content["class"]](steps, **options)

    def _estimator(self, content: Any) -> Any:
        name = content["class"]
        classes = known_classes()
        if name not in classes:
            raise FileFormatError(f"it holds an unknown estimator, {name!r}")
        cls = classes[name]
        unpack = self._unpacker.unpack
        estimator = cls(**{k: unpack(v) for k, v in content["parameters"].items()})
        for attribute, value in content["fitted"].items():
            # What the class has are its parameters, methods and properties.
            private = attribute.startswith("__") or not attribute.isidentifier()
            if private or hasattr(cls, attribute):
                raise FileFormatError(f"it sets {name}.{attribute}, which none may")
            setattr(estimator, attribute, unpack(value))
        _read_mask(estimator)
        codec = getattr(estimator, "_codec", None)
        if codec is not None:
            _check_codec(codec, estimator.n_features_in_)
        if isinstance(estimator, FieldEncoder):
            if codec is not None:
                estimator._adopt(codec)
        elif "network" in content:
            estimator.network_ = unpack_network(
                *(cls._network_class, content["network"], self._unpacker),
                map_table=self._map_table,
            )
            _check_model(estimator)
            if (state := estimator._optimizer_state) is not None:
                joined = "table" in content["network"]["arrays"]
                read_state(state, estimator.network_, joined=joined)
        return estimator


def _check_codec(codec: Any, n_columns: Any) -> None:
    """Refuse a codec whose parts do not fit each other."""
    if not isinstance(codec, TableCodec) or len(codec.blocks) != n_columns:
        raise FileFormatError("its encoder does not fit its columns")
    for block in codec.blocks:
        inner = block.inner if isinstance(block, MultiValuedBlock) else block
        if not _is_sound(inner):
            raise FileFormatError(f"its encoder of column {inner.name!r} is damaged")
    for number, (first, _) in codec.joined.items():
        both = (codec.blocks[number], codec.blocks[first])
        if not all(getattr(block, "is_flag", False) for block in both):
            raise FileFormatError("its dummies of one variable are damaged")


def _is_sound(block: Any) -> bool:
    """Whether the parts of a block fit each other."""
    if isinstance(block, CategoryBlock):
        sizes = (len(block.vocabulary), len(block.counts), len(block.infrequent))
        return block.infrequent.dtype == bool and len(set(sizes)) == 1
    if isinstance(block, HashBlock):
        return type(block.n_buckets) is int and 0 < block.n_buckets < 2**31 - 1
    if isinstance(block, QuantileBlock):
        return _ascend(block.edges)
    if isinstance(block, NestedBlock):
        value = isinstance(block.value, ScaleBlock)
        ids = isinstance(block.ids, CategoryBlock) and _is_sound(block.ids)
        edges = _ascend(block.edges) and _ascend(block.coarse)
        nested = edges and bool(np.isin(block.coarse, block.edges).all())
        return value and (block.ids is None or ids) and nested
    return isinstance(block, ScaleBlock | FlagBlock)


def _ascend(edges: np.ndarray) -> bool:
    return edges.ndim == 1 and bool(np.all(np.diff(edges) > 0))


def _read_mask(model: Any) -> None:
    """Statistics of the mask that the first files held instead of them."""
    if (mask := vars(model).pop("_seen_columns", None)) is not None:
        if mask.dtype != bool:
            raise FileFormatError("its mask of columns is damaged")
        model._column_statistics = ColumnStatistics(0, mask.astype(np.int64))


def _check_statistics(found: Any, n_columns: int) -> None:
    """Refuse statistics of columns that do not fit the network."""
    good = isinstance(found, ColumnStatistics) and type(found.n_rows) is int
    if good:
        parts: list[tuple[Any, type]] = [(found.counts, np.int64)]
        if found.sums is not None or found.squares is not None:
            parts += [(found.sums, np.float64), (found.squares, np.float64)]
        good = found.n_rows >= 0 and all(
            isinstance(array, np.ndarray)
            and (array.shape, array.dtype) == ((n_columns,), np.dtype(dtype))
            for array, dtype in parts
        )
    if not good or found.counts.min(initial=0) < 0:
        raise FileFormatError("its statistics of columns are damaged")


def _check_model(model: Any) -> None:
    """Refuse attributes that do not fit the network, by which the kernels read."""
    network = model.network_
    n_columns = network.shape.n_columns
    seen = sum(model._codec.widths) if model._codec else model.n_features_in_
    if seen != n_columns or model._n_outputs() != network.shape.n_outputs:
        raise FileFormatError("its network does not fit the estimator")
    classes = getattr(model, "classes_", None)
    if classes is not None and not model._multilabel and len(classes) < 2:
        raise FileFormatError("its classes are damaged")
    _check_statistics(model._column_statistics, n_columns)
    for fields in (model.fields_, model._mean_fields):
        if fields is not None:
            check_fields(fields, n_columns)
