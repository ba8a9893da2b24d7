"""The attributes of a fitted estimator, and what files hold of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..data.scaling import ColumnMoments, ColumnScaling
from ..data.statistics import ColumnStatistics
from ..encoding.codec import TableCodec
from ..nn.packing import pack_network
from ..nn.shape import Shape, check_fields
from ..persistence.estimators import SavedEstimator
from ..persistence.records import is_array, require, saved
from ..persistence.values import Packer, Unpacker
from ..training.optimizer_state import OptimizerState
from .records import check_members

if TYPE_CHECKING:
    from ..nn.network import Network
    from ..nn.samples import Samples


class FittedState(SavedEstimator):
    """Types of the attributes that fit sets, and their form in files.

    The public classes of `skfm.models` are those that files may hold.
    """

    _not_saved = frozenset({"network_"})
    _network_class: ClassVar[type[Network]]

    network_: Network
    fields_: np.ndarray | None
    field_names_: list[str] | None
    loss_curve_: list[float]
    validation_scores_: list[float]
    n_iter_: int
    best_iter_: int
    members_: list[dict[str, Any]]
    n_features_in_: int
    feature_names_in_: np.ndarray
    #: Encoding of the columns of a table; None if X was used unchanged.
    _codec: TableCodec | None
    #: Field of each column, if the values of a field in a row are averaged.
    _mean_fields: np.ndarray | None
    #: Mask of the columns that ``init_from`` had vectors of, where it was a mapping.
    _given_vectors: np.ndarray | None
    #: Units in which the network reads the columns; None: as they are.
    _scaling: ColumnScaling | None
    #: Moments that further chunks of a stream are added to; None if units are fixed.
    _column_moments: ColumnMoments | None
    #: Statistics of the rows of this fit, of earlier fits, and of ``init_from``.
    _column_statistics: ColumnStatistics
    #: States of the optimizers of the members, if a later fit may go on from them.
    _optimizers: list[OptimizerState]
    solver_: str
    diagnostics_: dict[str, Any]
    #: Chains of the Bayesian solver, for a warm start to go on from.
    _chains: dict[str, np.ndarray] | None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        public = not cls.__name__.startswith("_")
        if public and cls.__module__.startswith("skfm.models."):
            saved("estimator")(cls)

    def _n_outputs(self) -> int:
        """Return the number of raw scores per row; defined by each task."""
        raise AssertionError("defined by each task")

    @property
    def _scorer(self) -> Network | Samples:
        """The network, or the samples of a posterior, which score rows without torch.

        Raises
        ------
        AttributeError
            If the estimator is not fitted.
        """
        try:
            found: Network | Samples = vars(self)["network_"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} is not fitted.") from None
        return found

    def _class_of(self, shape: Shape) -> type[Network]:
        """Return the class of a fitted network of a shape."""
        require(shape.n_samples == 1, "only a posterior has samples")
        if shape.n_members == 1:
            return self._network_class
        from ..nn.members import members_of

        return members_of(self._network_class)

    def _parameters_to_save(self) -> dict[str, Any]:
        parameters = super()._parameters_to_save()
        if not isinstance(parameters["init_from"], str | None):
            # A fitted model that training started from is no part of what it made.
            parameters["init_from"] = None
        return parameters

    def _pack_parts(self, packer: Packer) -> dict[str, Any]:
        if "network_" not in vars(self):
            return {}
        return {"network": pack_network(self._scorer, packer)}

    def _unpack_parts(self, parts: dict[str, Any], unpacker: Unpacker) -> None:
        codec = getattr(self, "_codec", None)
        if codec is not None:
            require(isinstance(codec, TableCodec), "the codec is none")
            codec.check_fits(self.n_features_in_)
        if "network" in parts:
            self._unpack_network(parts["network"], unpacker)
            self._check_fits()

    def _unpack_network(self, content: Any, unpacker: Unpacker) -> None:
        from ..nn.serialization import unpack_network

        self.network_ = unpack_network(self._class_of, content, unpacker)

    def _check_fits(self) -> None:
        """Raise a ValueError unless the attributes by which kernels read fit."""
        shape = self._scorer.shape
        n_columns = sum(self._codec.widths) if self._codec else self.n_features_in_
        fits = (n_columns, self._n_outputs()) == (shape.n_columns, shape.n_outputs)
        require(fits, "the network does not fit the estimator")
        statistics: Any = self._column_statistics
        require(isinstance(statistics, ColumnStatistics), "the statistics are none")
        counted = len(statistics.counts) == shape.n_columns
        require(counted, "the statistics are not of the network's columns")
        # Files of models that were fitted on one-hot columns may lack both.
        scaling: Any = vars(self).setdefault("_scaling", None)
        moments: Any = vars(self).setdefault("_column_moments", None)
        known = isinstance(scaling, ColumnScaling | None)
        require(known and isinstance(moments, ColumnMoments | None), "units are none")
        given: Any = vars(self).setdefault("_given_vectors", None)
        fine = given is None or is_array(given, np.bool_, (shape.n_columns,))
        require(fine, "the columns of given vectors are none")
        for part in (scaling, moments):
            if part is not None:
                part.check_fits(shape.n_columns)
        for fields in (self.fields_, self._mean_fields):
            check_fields(fields, shape.n_columns)
        check_members(self)
