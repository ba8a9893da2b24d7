"""A Pipeline that tells its model the fields that the transformer made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..persistence.records import saved
from . import fields_from

__all__ = ["FieldPipeline", "make_field_pipeline"]


def _learns_from_chunks(pipeline: Any) -> bool:
    return hasattr(pipeline.steps[-1][1], "partial_fit")


def _is_fitted(model: Any) -> bool:
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


@saved("pipeline")
class FieldPipeline(Pipeline):
    """A Pipeline that tells its model the fields that the steps before it made.

    Use `make_field_pipeline` to make one. Each `fit` reads the fields off the fitted
    transformers, so that they are right in every fold of a cross-validation. They
    appear as the model's attribute ``fields_``; its parameters stay as they are. Fields
    that the model was given explicitly are left alone.

    Parameters
    ----------
    steps : list of tuple
        Names and estimators; the last is one of skfm's.
    transform_input : list of str, default=None
        Names of parameters to transform, as in `sklearn.pipeline.Pipeline`.
    memory : str or object with the joblib.Memory interface, default=None
        Cache of fitted transformers.
    verbose : bool, default=False
        Whether to print the time of each step.
    """

    steps: list[tuple[str, Any]]

    def fit(self, X: Any, y: Any = None, **params: Any) -> FieldPipeline:
        """Fit the transformers, read their fields, and fit the model.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Input of the first transformer.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target of the model.
        **params : dict
            Metadata, as in `sklearn.pipeline.Pipeline`.

        Returns
        -------
        self : FieldPipeline

        Raises
        ------
        FieldInferenceError
            If a transformer's fields cannot be read. Names it and the remedies.
        TypeError
            If the last step has no parameter ``fields``.
        ValueError
            If a step refuses its input. All steps are left as they were, except for
            those that a step holds itself, such as the steps of a nested Pipeline.
        """
        model = self.steps[-1][1]
        if not hasattr(model, "fields"):
            raise TypeError(
                f"The last step, {model!r}, has no parameter fields: give an estimator "
                "of skfm, or use sklearn.pipeline.make_pipeline."
            )
        with self._all_or_nothing(model):
            super().fit(X, y, **params)
        return self

    @available_if(_learns_from_chunks)
    def partial_fit(self, X: Any, y: Any = None, **params: Any) -> FieldPipeline:
        """Let the model make one pass over a chunk of rows.

        The transformers are fitted on the first chunk and stay as they are, so that no
        column of the matrix moves. New categories are unknown ones: pass many rows
        first, or hash the categories.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Input of the first transformer.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target of the model.
        **params : dict
            Further arguments of the model's ``partial_fit``, such as ``classes``.

        Returns
        -------
        self : FieldPipeline

        Raises
        ------
        FieldInferenceError
            If a transformer's fields cannot be read. Names it and the remedies.
        """
        model, rows = self.steps[-1][1], X
        is_first = not _is_fitted(model)
        with self._all_or_nothing(model):
            for _, step in self.steps[:-1]:
                if step is None or step == "passthrough":
                    continue
                rows = step.fit_transform(rows, y) if is_first else step.transform(rows)
            self._tell_fields(model)
            model.partial_fit(rows, y, **params)
        return self

    @contextmanager
    def _all_or_nothing(self, model: Any) -> Iterator[None]:
        """Put the steps back after an error, and the model's ``fields`` in any case."""
        steps, given = self.steps, model.fields
        network = vars(model).get("network_")
        before = [
            (step, dict(vars(step)))
            for _, step in steps[:-1]
            if isinstance(step, BaseEstimator)
        ]
        try:
            yield
        except BaseException:
            # An interrupted fit keeps the last full epoch, and what encoded its rows.
            if vars(model).get("network_") is network:
                self.steps = steps
                for step, attributes in before:
                    step.__dict__ = attributes
            raise
        finally:
            model.set_params(fields=given)

    def _tell_fields(self, model: Any) -> None:
        """Set the fields of the fitted transformers, unless the user has given some."""
        if isinstance(model.fields, str) and len(self.steps) > 1:
            fields, names = fields_from(self[:-1])
            model.set_params(fields=[names[field] for field in fields])

    def _fit(self, *args: Any, **kwargs: Any) -> Any:
        # Pipeline has no public hook between its transformers and its model.
        transformed = super()._fit(*args, **kwargs)
        self._tell_fields(self.steps[-1][1])
        return transformed


def make_field_pipeline(
    *steps: Any,
    memory: Any = None,
    transform_input: list[str] | None = None,
    verbose: bool = False,
) -> FieldPipeline:
    """Make a Pipeline whose model learns the fields from the transformers.

    It differs from `sklearn.pipeline.make_pipeline` in one thing: the model does not
    infer the fields from the structure of the matrix, which refuses multi-hot blocks,
    hashed columns or dropped categories, but is told what the transformers did.

    Parameters
    ----------
    *steps : estimators
        Transformers that `fields_from` can read, such as ColumnTransformer,
        OneHotEncoder, KBinsDiscretizer or `FieldEncoder`; then an estimator of skfm.
    memory, transform_input, verbose
        Options of the pipeline, as in `sklearn.pipeline.make_pipeline`.

    Returns
    -------
    pipeline : FieldPipeline
        Its steps are named after their types in lower case.

    Examples
    --------
    Categories that ``drop`` leaves without a column hide blocks from inference:

    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import DeepFMClassifier, make_field_pipeline
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> encoder = OneHotEncoder(drop="first")
    >>> model = make_field_pipeline(encoder, DeepFMClassifier(random_state=0))
    >>> model.fit(X, y)[-1].field_names_
    ['x0', 'x1']
    """
    pipeline = make_pipeline(
        *steps, memory=memory, transform_input=transform_input, verbose=verbose
    )
    return FieldPipeline(
        pipeline.steps, memory=memory, transform_input=transform_input, verbose=verbose
    )
