"""Conversion of estimators to their parameters and fitted attributes, and back."""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from ..runtime.attributes import (
    BOOKKEEPING,
    OF_RUNNING_FIT,
    fitted_attributes,
    snapshot,
)
from .cells import UnsupportedValueError
from .container import Reader
from .foreign import pack_foreign, unpack_foreign
from .header import FileFormatError
from .records import class_named, is_registered, saved
from .values import Budget, Packer, Unpacker

#: Name of the only entry of a state that is the bytes of a file.
_FILE = "skfm"
_NO_STEP = (None, "passthrough")
#: Approximate number of bytes that an estimator takes beside its arrays.
_PER_ESTIMATOR = 4096

saved("pipeline")(Pipeline)


class SavedEstimator:
    """Base class of the estimators that can be saved.

    Attributes
    ----------
    _not_saved : frozenset of str
        Names of the fitted attributes that are not saved as such. `_unpack_parts`
        restores them.
    """

    _not_saved: ClassVar[frozenset[str]] = frozenset()

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Pickles and copies hold the attributes themselves.
        if not is_registered("estimator", type(self)):
            return super().__reduce_ex__(protocol)
        return copyreg.__newobj__, (type(self),), self._attributes()  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        """Return the bytes of a file, for serializers such as skops.

        They write the state of an object as plain data, and trust the types in it one
        by one. If a file cannot hold the estimator, the state is that of a pickle.
        """
        if is_registered("estimator", type(self)):
            from .files import to_bytes

            with suppress(TypeError, ValueError):
                return {_FILE: to_bytes(self)}
        return self._attributes()

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.keys() != {_FILE}:
            super().__setstate__(state)  # type: ignore[misc]
            return
        from .files import from_bytes

        vars(self).update(vars(from_bytes(state[_FILE], type(self))))

    def _attributes(self) -> dict[str, Any]:
        # Another thread may fit the estimator while it is pickled.
        attributes: Any = super().__getstate__()
        return {n: v for n, v in attributes.items() if n not in OF_RUNNING_FIT}

    def _parameters_to_save(self) -> dict[str, Any]:
        parameters: dict[str, Any] = self.get_params(deep=False)  # type: ignore[attr-defined]
        return parameters

    def _pack_parts(self, packer: Packer) -> dict[str, Any]:
        """Pack what must be saved beside parameters and fitted attributes, by name."""
        return {}

    def _unpack_parts(self, parts: dict[str, Any], unpacker: Unpacker) -> None:
        """Restore what `_pack_parts` saved, and raise an error if it is not valid."""


def pack_estimator(estimator: Any, packer: Packer) -> dict[str, Any]:
    """Pack an estimator of this package or of scikit-learn, or a pipeline, as JSON."""
    cls = type(estimator)
    if is_registered("pipeline", cls):
        return {"pipeline": _pack_pipeline(estimator, packer)}
    if not is_registered("estimator", cls):
        if isinstance(estimator, SavedEstimator):
            raise UnsupportedValueError(
                f"{cls.__module__}.{cls.__name__} cannot be saved, because it is not a "
                "class of skfm: loading it would run code that the file names. Save an "
                "estimator of a class of skfm."
            )
        return _pack_foreign(estimator, packer)
    estimator = snapshot(estimator)
    # `load` refuses invalid parameters, and every saved file must load.
    estimator._validate_params()
    name, parameters = cls.__name__, estimator._parameters_to_save()
    content = {
        "class": name,
        "parameters": {
            key: packer.pack(value, f"{name}({key}=...)")
            for key, value in parameters.items()
        },
        "fitted": {
            attribute: _pack_attribute(value, f"{name}.{attribute}", packer)
            for attribute, value in fitted_attributes(estimator).items()
            if attribute not in cls._not_saved
        },
    }
    return {"estimator": content | estimator._pack_parts(packer)}


def _pack_foreign(estimator: Any, packer: Packer) -> dict[str, Any]:
    data, members = pack_foreign(estimator, _is_own)
    name = packer.store(data)
    if not members:
        return {"foreign": name}
    packed = [pack_estimator(member, packer) for member in members]
    return {"composed": {"foreign": name, "members": packed}}


def _is_own(value: Any) -> bool:
    """Return whether an object inside of a foreign estimator is saved without skops."""
    return isinstance(value, SavedEstimator) or is_registered("pipeline", type(value))


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
    """Reader of the estimators that `pack_estimator` wrote.

    Parameters
    ----------
    reader : Reader
        Reader of the file.
    budget : Budget
        Memory that may be taken.
    map_tables : bool
        Whether tables of weights stay in the file, mapped into memory.
    trusted : sequence of str
        Names of types that skops may load beside scikit-learn's own.
    """

    def __init__(
        self,
        reader: Reader,
        budget: Budget,
        *,
        map_tables: bool,
        trusted: Sequence[str],
    ) -> None:
        self._trusted = trusted
        self._unpacker = Unpacker(
            reader,
            budget,
            map_tables=map_tables,
            objects={
                "estimator": self._estimator,
                "pipeline": self._pipeline,
                "foreign": self._foreign,
                "composed": self._composed,
            },
        )

    def read(self, content: Any) -> Any:
        """Build the estimator that a document describes."""
        estimator = self._unpacker.unpack(content)
        if not isinstance(estimator, BaseEstimator):
            raise FileFormatError("it does not hold an estimator")
        return estimator

    def _composed(self, content: Any) -> Any:
        members = [self._unpacker.unpack(member) for member in content["members"]]
        return self._foreign(content["foreign"], members)

    def _foreign(self, name: Any, members: Sequence[Any] = ()) -> Any:
        data = self._unpacker.stored(name)
        return unpack_foreign(data, members, self._trusted, self._unpacker.budget)

    def _pipeline(self, content: Any) -> Pipeline:
        self._unpacker.budget.spend(_PER_ESTIMATOR)
        options = self._unpacker.unpack(content["options"])
        steps = [(name, self._unpacker.unpack(step)) for name, step in content["steps"]]
        return class_named("pipeline", content["class"])(steps, **options)

    def _estimator(self, content: Any) -> Any:
        self._unpacker.budget.spend(_PER_ESTIMATOR)
        parts = dict(content)
        name, parameters = parts.pop("class"), parts.pop("parameters")
        cls = class_named("estimator", name)
        unpack = self._unpacker.unpack
        estimator = cls(**{key: unpack(value) for key, value in parameters.items()})
        estimator._validate_params()
        for attribute, value in parts.pop("fitted").items():
            if attribute in BOOKKEEPING:
                continue  # as files of before the first release hold some
            # The class has its parameters, methods and properties as attributes.
            private = attribute.startswith("__") or not attribute.isidentifier()
            if private or attribute in cls._not_saved or hasattr(cls, attribute):
                raise FileFormatError(
                    f"it sets {name}.{attribute}, which is not allowed"
                )
            setattr(estimator, attribute, unpack(value))
        estimator._unpack_parts(parts, self._unpacker)
        return estimator
