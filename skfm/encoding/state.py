"""Fitted state of a FieldEncoder: a codec, and attributes that describe it."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from ..persistence.estimators import SavedEstimator
from ..persistence.records import require
from ..persistence.values import Unpacker
from ..runtime.attributes import publish, snapshot
from .blocks import Encoded
from .codec import TableCodec
from .tables import as_table, read_columns

__all__ = ["CodecEstimator", "adopt", "codec_of"]


class CodecEstimator(SavedEstimator):
    """An estimator that learns a codec of a table completely or not at all."""

    min_frequency: float | None
    n_features_in_: int
    _codec: TableCodec
    #: Attributes that are computed from the codec.
    _not_saved = frozenset(
        {
            "fields_",
            "field_names_",
            "columns_",
            "categories_",
            "infrequent_categories_",
        }
    )

    def _columns(self, X: Any, *, reset: bool) -> list[pd.Series]:
        table = as_table(X)
        validate_data(self, table, reset=reset, skip_check_array=True)
        return read_columns(table)

    def _learn(
        self, X: Any, *, first: bool, stream: bool = False, encode: bool = True
    ) -> tuple[TableCodec, list[Encoded]]:
        """Learn a table, and return the codec and the encoded rows."""
        share = self.min_frequency
        if isinstance(share, float) and not 0 < share < 1:
            raise ValueError(f"min_frequency={share} is a float outside of (0, 1).")
        draft = snapshot(self)
        columns = draft._columns(X, reset=first)
        codec = draft._new_codec(columns) if first else draft._codec
        codec, encoded = codec.learn(columns, stream=stream, encode=encode)
        draft._adopt(codec)
        publish(self, draft)
        return codec, encoded

    def _new_codec(self, columns: list[pd.Series]) -> TableCodec:
        names = getattr(self, "feature_names_in_", None)
        return TableCodec.create(
            columns,
            [f"x{j}" for j in range(len(columns))] if names is None else list(names),
            named=names is not None,
            params=self.get_params(),  # type: ignore[attr-defined]
        )

    def _adopt(self, codec: TableCodec) -> None:
        """Set the fitted attributes that describe a codec."""
        vars(self).update(
            _codec=codec,
            fields_=codec.fields,
            columns_=codec.sources,
            field_names_=codec.field_names,
            categories_=codec.categories(infrequent=False),
            infrequent_categories_=codec.categories(infrequent=True),
        )

    def _unpack_parts(self, parts: dict[str, Any], unpacker: Unpacker) -> None:
        codec = getattr(self, "_codec", None)
        if codec is None:
            return
        require(isinstance(codec, TableCodec), "the codec is none")
        codec.check_fits(self.n_features_in_)
        unpacker.budget.spend(np.dtype(np.int32).itemsize * sum(codec.widths))
        self._adopt(codec)


Estimator = TypeVar("Estimator", bound=CodecEstimator)


def adopt(estimator: Estimator, codec: TableCodec, names: list[str]) -> Estimator:
    """Return an estimator that has learnt a codec from a table of these columns."""
    empty = pd.DataFrame(columns=np.array(names, dtype=object))
    validate_data(estimator, empty, skip_check_array=True)
    estimator._adopt(codec)
    return estimator


def codec_of(estimator: CodecEstimator) -> TableCodec:
    """Return the codec of a fitted estimator."""
    return estimator._codec
