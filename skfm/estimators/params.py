"""Hyper-parameters declared once.

``param`` carries a parameter's default, its valid values and its documentation;
``Parametrized`` turns the declarations of a class and its bases into the explicit
keyword-only ``__init__``, the constraints and the docstring that scikit-learn's users
expect. ``{parameters}`` and ``{attributes}`` in a class docstring stand for what its
bases declare.
"""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from typing import Any, ClassVar, dataclass_transform

from sklearn.base import BaseEstimator

from .groups import in_groups

__all__ = ["Parametrized", "given_or_default", "param", "redeclare", "unset"]


def param(*, default: Any, valid: list[Any], doc: str) -> Any:
    """Declare a hyper-parameter.

    Parameters
    ----------
    default : immutable object
        The default value.
    valid : list
        scikit-learn's constraints; one of them must hold.
    doc : str
        numpydoc text: the type on the first line, the description after it.
    """
    return dataclasses.field(default=default, metadata={"valid": valid, "doc": doc})


def redeclare(base: type, name: str, *, default: Any) -> Any:
    """Declare a parameter of ``base`` again, with another default."""
    known = base.__dataclass_fields__[name].metadata  # type: ignore[attr-defined]
    return param(default=default, valid=known["valid"], doc=known["doc"])


def unset(base: type, name: str) -> Any:
    """Declare a parameter of ``base`` again, so that it shows whether it was given.

    The default is None, which stands for that of ``base``: see `given_or_default`.
    """
    known = base.__dataclass_fields__[name]  # type: ignore[attr-defined]
    kind, _, text = textwrap.dedent(known.metadata["doc"]).strip().partition("\n")
    note = f"None: {known.default!r}, by the stochastic solver."
    return param(
        default=None,
        valid=[*known.metadata["valid"], None],
        doc=f"{kind} or None\n{text.rstrip()} {note}",
    )


def given_or_default(model: Any, base: type, name: str) -> Any:
    """Value of a parameter; where it is `unset`, the default of ``base``."""
    value = getattr(model, name)
    if value is not None:
        return value
    return base.__dataclass_fields__[name].default  # type: ignore[attr-defined]


def _document(field: dataclasses.Field[Any]) -> str:
    kind, _, text = textwrap.dedent(field.metadata["doc"]).strip().partition("\n")
    body = textwrap.indent(textwrap.dedent(text).strip(), "    ")
    return f"{field.name} : {kind}, default={field.default!r}\n{body}"


def _fill(doc: str, marker: str, text: str) -> str:
    """Put ``text`` where ``marker`` stands, at its indentation."""
    before, found, after = doc.partition(marker)
    margin = before[before.rfind("\n") + 1 :]
    return before + textwrap.indent(text, margin).lstrip() + after if found else doc


def _attributes(cls: type) -> str:
    """Return the ``_attributes_doc`` of a class and its bases, the most basic last."""
    docs = [vars(base).get("_attributes_doc", "") for base in cls.__mro__]
    return "\n".join(textwrap.dedent(doc).strip() for doc in docs if doc)


def _text(cls: type, name: str) -> str:
    """Return a text of a class or of one of its bases, without its indentation."""
    return textwrap.dedent(getattr(cls, name, "")).strip()


def _follow_mro(cls: type) -> None:
    """Make a parameter what the first class in the MRO declares, as for any attribute.

    A dataclass takes from its first base also the fields which that has inherited: an
    architecture's default would lose to the shared one, by way of the task.
    """
    own = {k: v for k, v in vars(cls).items() if isinstance(v, dataclasses.Field)}
    cls._declared = own  # type: ignore[attr-defined]
    declared: dict[str, dataclasses.Field[Any]] = {}
    inherited: dict[str, dataclasses.Field[Any]] = {}
    for base in reversed(cls.__mro__):
        declared |= vars(base).get("_declared", {})
        inherited |= vars(base).get("__dataclass_fields__", {})
    annotations = dict(vars(cls).get("__annotations__", {}))
    for name, field in declared.items():
        if name not in own and inherited[name].metadata is not field.metadata:
            annotations[name] = field.type
            again = dataclasses.field(default=field.default, metadata=field.metadata)
            setattr(cls, name, again)
    cls.__annotations__ = annotations


def _order_signature(cls: type) -> None:
    """Show the parameters of ``__init__``, all keyword-only, by group."""
    init = vars(cls)["__init__"]
    signature = inspect.signature(init)
    me, *others = signature.parameters
    ordered = [signature.parameters[name] for name in (me, *in_groups(others))]
    init.__signature__ = signature.replace(parameters=ordered)


@dataclass_transform(
    kw_only_default=True, eq_default=False, field_specifiers=(param, redeclare, unset)
)
class Parametrized(BaseEstimator):
    """A scikit-learn estimator whose parameters are declared with `param`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        _follow_mro(cls)
        dataclasses.dataclass(kw_only=True, eq=False, repr=False, match_args=False)(cls)
        declared = {field.name: field for field in dataclasses.fields(cls)}
        fields = [declared[name] for name in in_groups(declared)]
        _order_signature(cls)
        cls._parameter_constraints = {f.name: f.metadata["valid"] for f in fields}
        texts = {
            "{sections}": _text(cls, "_sections_doc").replace("{name}", cls.__name__),
            "{parameters}": "\n\n".join(map(_document, fields)),
            "{attributes}": _attributes(cls),
            "{references}": _text(cls, "_references_doc"),
        }
        for marker, text in texts.items():
            cls.__doc__ = _fill(cls.__doc__ or "", marker, text)
        super().__init_subclass__(**kwargs)
