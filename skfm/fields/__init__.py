"""Fields: which columns of a matrix belong together.

Given by the user, inferred from the structure of a sparse matrix, or read off a
fitted transformer.
"""

from .inference import FieldInferenceError, infer_fields
from .readers import fields_from
from .resolution import (
    MAX_DENSE_FIELDS,
    MAX_FALLBACK_FIELDS,
    resolve_fields,
)

__all__ = [
    "MAX_DENSE_FIELDS",
    "MAX_FALLBACK_FIELDS",
    "FieldInferenceError",
    "fields_from",
    "infer_fields",
    "resolve_fields",
]
