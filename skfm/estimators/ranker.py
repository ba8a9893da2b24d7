"""Rankers: the rows of a query in the order of their relevance."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from .. import losses
from .._sklearn import Interval, StrOptions, fit_context
from ..data.rank_metrics import RANK_METRICS, mean_metric
from ..exceptions import SingleQueryWarning
from ..runtime.attributes import on_snapshot
from ..runtime.warnings import warn
from .checks import check_weights, refuse_overflow
from .data import Data, FitData
from .fitted import FittedTarget
from .params import param
from .run import ONE_PASS, Fit, Run
from .sampling import NegativeSampling
from .sampling_data import Choices


class Ranker(NegativeSampling, FittedTarget):
    """Ranking of the rows of a query by graded or binary relevance."""

    _sections_doc: ClassVar[str] = """
        Learns to order the rows of a query by their relevance; ``predict`` gives the
        scores to order them by.

        Parameters
        ----------
        {parameters}

        Attributes
        ----------
        {attributes}

        References
        ----------
        {references}

        Examples
        --------
        The items that each user likes, which no score of the item alone can rank:

        >>> from sklearn.preprocessing import OneHotEncoder
        >>> from skfm import {name}
        >>> X = [["u1", "a"], ["u1", "b"], ["u2", "a"], ["u2", "b"]] * 25
        >>> relevance, user = [1, 0, 0, 1] * 25, [1, 1, 2, 2] * 25
        >>> X = OneHotEncoder().fit_transform(X)
        >>> model = {name}(random_state=0).fit(X, relevance, qid=user)
        >>> model.score(X, relevance, qid=user)
        1.0
        """

    _target_checks: ClassVar[dict[str, Any]] = {"y_numeric": True}

    loss: str = param(
        default="auto",
        valid=[StrOptions({"auto", *losses.loss_names("relevance")})],
        doc="""{"auto", "pairwise", "listwise", "lambda", "warp", "log_loss"}
            Loss to minimise in each query. "auto" is "log_loss" if ``negatives`` are
            drawn, and "pairwise" otherwise. "pairwise" is the mean of
            ``log(1 + exp(-(score_i - score_j)))`` over pairs of rows where i is more
            relevant than j; for binary relevance it is the loss of Bayesian
            personalised ranking. "listwise" is the softmax cross-entropy between scores
            and shares of relevance. "lambda" is the pairwise loss with each pair
            weighed by the change in NDCG if its rows were exchanged. "warp" is the
            hinge loss of pairs, weighed by the logarithm of the number of rows that
            come too near (Weston et al., 2011). "log_loss" is the log loss of each row
            by itself, of whether its relevance is above zero. Queries are weighed by
            their number of rows.""",
    )
    n_pairs: int = param(
        default=16,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Maximum number of pairs per row of a query. A query that has more pairs is
            represented by a sample of them, drawn anew whenever it is seen.
            ``loss="listwise"`` ignores it.""",
    )
    n_ranks: int | None = param(
        default=10,
        valid=[Interval(Integral, 1, None, closed="left"), None],
        doc="""int or None
            Number of ranks that count in `score` and in early stopping. None means all
            ranks. The gain of a row in NDCG is its relevance, as in
            `sklearn.metrics.ndcg_score`.""",
    )
    scoring: Any = param(
        default="ndcg",
        valid=[StrOptions(set(RANK_METRICS)), callable],
        doc="""{"ndcg", "map", "mrr", "recall", "precision", "hit_rate"} or callable
            Score of the held-out rows that early stopping maximises and
            ``validation_scores_`` records: a metric at ``n_ranks``, see
            `skfm.metrics`. A callable ``scoring(estimator, X, y, qid=qid)`` is given
            the held-out rows as `fit` was, and ``sample_weight`` if they have
            weights.""",
    )
    hold_out: str = param(
        default="auto",
        valid=[StrOptions({"auto", "rows", "queries"})],
        doc="""{"auto", "rows", "queries"}
            Rows that early stopping holds out: a share of the rows of each query, of
            every relevance, or whole queries. A model learns nothing about the users of
            whole queries. "auto" holds out rows if most queries have columns of their
            own, as users have, and whole queries otherwise, as for search requests. If
            no query has two rows each of two relevances, it holds out queries.""",
    )

    @fit_context
    def fit(
        self,
        X: Any,
        y: Any = None,
        qid: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        qid_val: Any = None,
        sample_weight_val: Any = None,
        users: Any = None,
        items: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows, which are never modified. A CSR matrix is used as it is, and other
            formats are converted once.
        y : array-like of shape (n_samples,), default=None
            Relevance of the rows, numbers of zero or more. The pairwise loss uses only
            their order. The other losses and the NDCG also use their size. None means
            that all rows were chosen, so that ``negatives`` are drawn.
        qid : array-like of shape (n_samples,), default=None
            Query of each row: numbers or strings, in any order. Rows of the same query
            are ranked together. None means that all rows belong to one query.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, which must not be negative nor all zero. The weight of
            a pair is the product of the weights of its rows, that of a query their sum.
        X_val, y_val, qid_val, sample_weight_val : as the arguments above, default=None
            Held-out rows for early stopping, instead of a share of X, which
            ``hold_out`` chooses.
        users, items : DataFrame, default=None
            With ``negatives``: one row per user, and per item, whose columns are joined
            to the rows of X. They are columns of the model: rows to predict have them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the input is not valid. The estimator is left unchanged.
        FloatingPointError
            If the loss became NaN or infinite. The estimator then has the weights of
            the last complete epoch, or is left unchanged if there was none. The same
            holds after a KeyboardInterrupt.
        """
        if self.negatives is not None:
            return self._fit_choices(
                (X, y, sample_weight, qid),
                (X_val, y_val, sample_weight_val, qid_val),
                users,
                items,
            )
        if users is not None or items is not None:
            raise ValueError("users and items are joined only with negatives set.")
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None. If all rows of X were chosen, set negatives: other items "
                "that each of them is compared with."
            )
        if X_val is not None and (qid is None) != (qid_val is None):
            missing = "qid" if qid is None else "qid_val"
            raise ValueError(f"qid and qid_val go together, but {missing} is missing.")
        held_out = (X_val, y_val, sample_weight_val, qid_val)
        return self._fit(X, y, sample_weight, self._run(qid), held_out)

    @fit_context
    def partial_fit(
        self, X: Any, y: Any, qid: Any = None, sample_weight: Any = None
    ) -> Self:
        """Make one pass over X, going on from the weights there are.

        It draws no ``negatives``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Relevance of the rows.
        qid : array-like of shape (n_samples,), default=None
            The query of each row; a query should be passed whole.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, ONE_PASS._replace(qid=qid))

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        self._score_kind = ("relevance",)

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        target = y.astype(np.float64)
        self._make_loss().check_target(target)
        return target

    def _check_queries(self, qid: Any, n_rows: int, name: str) -> np.ndarray:
        if qid is None:
            return np.zeros(n_rows, np.int64)
        if isinstance(qid, Choices):
            return qid.users
        ids = column_or_1d(
            check_array(qid, ensure_2d=False, dtype=None, input_name=name),
            input_name=name,
        )
        if len(ids) != n_rows:
            raise ValueError(
                f"{name} must have the query of each of the {n_rows} rows; got "
                f"{len(ids)}. Sizes of groups are not what is asked for: "
                "np.repeat(np.arange(len(sizes)), sizes) makes queries of them."
            )
        return np.unique(ids, return_inverse=True)[1]

    def _make_fit(
        self, data: FitData, held_out: FitData | None, run: Run, **rest: Any
    ) -> Fit:
        if isinstance(data, Data) and data.query is not None and not run.one_pass:
            _check_pairs(data.query, data.target, data.weight)
            if run.qid is None:
                self._warn_of_one_query(data.n_rows)
        return super()._make_fit(data, held_out, run, **rest)

    def _warn_of_one_query(self, n_rows: int) -> None:
        warn(
            f"{type(self).__name__} was fitted without qid, so that all {n_rows} rows "
            "are compared as those of one query. Pass the query of each row as qid. In "
            "cross_val_score and searches, enable metadata routing and request groups "
            'by set_fit_request(qid="groups") and set_score_request(qid="groups"). If '
            "the rows are one query, pass qid=np.zeros(len(X)).",
            SingleQueryWarning,
        )

    def _judges_itself(self, scoring: Any) -> bool:
        return isinstance(scoring, str)

    def _make_loss(self) -> losses.Loss:
        loss = self.loss
        if loss == "auto":
            loss = "pairwise" if self.negatives is None else "log_loss"
        return losses.make_loss(loss, "relevance", 1, vars(self))

    def _n_outputs(self) -> int:
        return 1

    @on_snapshot
    def predict(self, X: Any) -> np.ndarray:
        """Predict scores to rank rows by: the higher, the more relevant.

        Only differences between rows of one query mean something.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._raw_scores(X)[:, 0]

    @refuse_overflow
    def score(
        self, X: Any, y: Any, qid: Any = None, sample_weight: Any = None
    ) -> float:
        """Compute the mean NDCG of the queries, up to rank ``n_ranks``.

        Equal scores share their ranks. Queries without relevance above zero have no
        NDCG and do not count.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Relevance of the rows.
        qid : array-like of shape (n_samples,), default=None
            The query of each row. None: all rows are of one query.
        sample_weight : array-like of shape (n_samples,), default=None
            A query weighs the mean of its rows' weights.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no query has relevance above zero.
        """
        scores = self.predict(X)
        relevance = column_or_1d(y, dtype=np.float64)
        check_consistent_length(scores, relevance)
        self._make_loss().check_target(relevance)
        query = self._check_queries(qid, len(scores), "qid")
        weight = check_weights(sample_weight, scores)
        value = mean_metric("ndcg", scores, relevance, query, weight, self.n_ranks)
        if np.isnan(value):
            raise ValueError("NDCG is not defined: no row has relevance above zero.")
        return value

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = True
        return tags


def _check_pairs(query: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
    """Refuse rows none of which is more relevant than another of its query.

    Raises
    ------
    ValueError
    """
    query, target = query[weight > 0], target[weight > 0]
    order = np.lexsort((target, query))
    query, target = query[order], target[order]
    together = query[1:] == query[:-1]
    # Queries of one row each have an error of their own.
    if not together.any() or np.any(together & (target[1:] > target[:-1])):
        return
    raise ValueError(
        "No query has two rows of different relevance, so that there is nothing to "
        "rank: y is the same within every query. If y marks what users chose, add rows "
        "that they did not choose, with y=0."
    )
