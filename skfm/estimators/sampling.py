"""Rankers that draw negatives: their parameters, and the checks of interactions."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils import column_or_1d

from .._sklearn import Interval, StrOptions
from ..encoding.codec import TableCodec
from .base import BaseModel
from .data import FitData
from .params import param
from .run import Run
from .sampling_data import Choices, Interactions, join_tables, split


class NegativeSampling(BaseModel):
    """Fits of interactions, which are compared with items drawn at random."""

    negatives: Any = param(
        default=None,
        valid=[Interval(Integral, 1, None, closed="left"), None],
        doc="""int or None
            Number of items that each row of X is compared with, drawn in every epoch
            anew from those that the user is not known to have. X is then a table of
            interactions, with columns ``user`` and ``item``, and y may be None. None:
            rows are compared with those of their query, and nothing is drawn.""",
    )
    sampling: float | str = param(
        default="uniform",
        valid=[
            StrOptions({"uniform", "popularity", "exposures"}),
            Interval(Real, 0, None, closed="left"),
        ],
        doc="""{"uniform", "popularity", "exposures"} or float
            Distribution of the items that ``negatives`` draws: "uniform" over the items
            of X, in proportion to their "popularity", which is their number of users,
            or to a power of it. "exposures" draws from the rows of the same user with
            y=0, which are the items that were shown and not chosen.""",
    )
    user: str = param(
        default="user",
        valid=[str],
        doc="""str
            Column of the user in X and ``users``, where ``negatives`` are drawn.""",
    )
    item: str = param(
        default="item",
        valid=[str],
        doc="""str
            Column of the item in X and ``items``, where ``negatives`` are drawn.""",
    )

    def _run(self, qid: Any) -> Run:
        return Run(
            warm=self.warm_start,
            max_iter=self.max_iter,
            early_stopping=self.early_stopping,
            keep_optimizer=self.warm_start,
            qid=qid,
        )

    def _fit_choices(
        self, given: tuple[Any, ...], held_out: tuple[Any, ...], users: Any, items: Any
    ) -> Self:
        """Fit interactions, whose negatives are drawn."""
        if callable(self.scoring):
            raise ValueError("With negatives, scoring must be the name of a metric.")
        X, y, weight, qid = given
        if qid is not None or held_out[3] is not None:
            raise ValueError(
                "With negatives, the user of a row is its query: leave qid=None."
            )
        choices = join_tables(X, users, items, user=self.user, item=self.item)
        y = self._chosen_rows(y, choices)
        if held_out[0] is None:
            return self._fit(choices.table, y, weight, self._run(choices))
        X_val, y_val, weight_val, _ = held_out
        others = join_tables(
            X_val,
            users,
            items,
            user=self.user,
            item=self.item,
            known=choices,
            name="X_val",
        )
        rest = (others.table, self._chosen_rows(y_val, others), weight_val, others)
        return self._fit(choices.table, y, weight, self._run(choices), rest)

    def _chosen_rows(self, y: Any, choices: Choices) -> Any:
        """Return which rows were chosen, as relevance."""
        if y is None:
            if self.sampling == "exposures":
                raise ValueError(
                    'sampling="exposures" needs y: 0 in the rows that were shown and '
                    "not chosen."
                )
            return np.ones(len(choices.table))
        chosen = column_or_1d(y, dtype=np.float64)
        if self.sampling != "exposures" and not np.all(chosen > 0):
            raise ValueError(
                "y must be above zero, as negatives are drawn: drop the rows with "
                'y=0, or set sampling="exposures" to draw from them.'
            )
        return chosen

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, run: Run, *, resume: bool
    ) -> FitData:
        data = super()._check_data(X, y, sample_weight, run, resume=resume)
        return self._with_negatives(data, run.qid)

    def _check_validation(
        self, X: Any, y: Any, sample_weight: Any, qid: Any = None, *, run: Run
    ) -> FitData | None:
        data = super()._check_validation(X, y, sample_weight, qid, run=run)
        return None if data is None else self._with_negatives(data, qid)

    def _learn_crosses(
        self, codec: TableCodec, encoded: Any, y: Any, sample_weight: Any
    ) -> tuple[TableCodec, list[np.ndarray]]:
        """Search for no crosses where negatives are to be drawn: there is no target."""
        if self.negatives is not None and isinstance(self.crosses, str):
            return codec, []
        return super()._learn_crosses(codec, encoded, y, sample_weight)

    def _with_negatives(self, data: FitData, qid: Any) -> FitData:
        """Return data whose negatives are drawn, if ``qid`` tells users and items.

        Raises
        ------
        ValueError
            If rows cannot be joined from columns of items and others.
        """
        if not isinstance(qid, Choices):
            return data
        codec = self._codec
        if codec is None or codec.crosses.items:
            raise ValueError(
                "With negatives, X must be a table that is encoded, without crosses: "
                "leave categorical_features at its default, and name no crosses."
            )
        sampling = self.sampling
        if sampling != "exposures":
            sampling = {"uniform": 0.0, "popularity": 1.0}.get(str(sampling), sampling)
        return Interactions(
            data.in_memory(),
            qid,
            split(codec, data.X, qid),
            int(self.negatives),
            sampling,
        )
